"""The report of a run that ran, from its folder in either kind of store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs.report import read_record, render_report
from lakeflow.runs.state.listing import find_run
from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


def picky(rows: pa.Table) -> pa.Table:
    """Fails on one shard of four, by its own code."""
    print("looking at", rows["id"][0].as_py())  # noqa: T201  (what a report shows)
    if 7 in rows["id"].to_pylist():
        raise ValueError("seven is <bad>")
    return rows


def test_a_run_writes_its_page(any_pair: Any, tmp_path: Path) -> None:
    """State, lineage from snapshot to snapshot, failures with traceback and command, every section."""
    run = lf.foreach(
        any_pair.source.scan().shards(n=4), picky, into=any_pair.into, run_id="p1", engine="serial",
        on_error="quarantine",
    )  # fmt: skip

    file = run.report(tmp_path / "page.html")

    page = file.read_text(encoding="utf-8")
    assert file == tmp_path / "page.html"
    assert "committed in part" in page
    for said in (
        f"{any_pair.source.name}", str(any_pair.source.snapshot.id), any_pair.into.name, str(run.snapshot_id),
        "3 of 4", "seven is &lt;bad&gt;", "ValueError", "lakeflow reproduce p1 shard-0000", "test_report.py",
    ):  # fmt: skip
        assert said in page
    for section in ("failures", "lineage", "time", "timeline", "throughput", "skew", "bytes"):
        assert f'id="{section}-title"' in page
    assert [each.name for each in tmp_path.glob("*.html*")] == ["page.html"]


def test_a_run_that_failed_has_a_page(pair: Any) -> None:
    """Before anything is published, from its folder alone."""
    with pytest.raises(lf.LakeflowError):
        lf.foreach(pair.source.scan().shards(n=4), picky, into=pair.into, run_id="p1", engine="serial")

    record = read_record(find_run(lf.connect(), "p1", pair.into.name).journal)

    assert record.state == "failed"
    assert len(record.failures) == 1
    assert "not published" in render_report(record)


def test_long_texts_are_cut_as_they_are_read(pair: Any) -> None:
    """Thousands of failures with their tracebacks fit into memory: of each, its end is kept."""

    def loud(rows: pa.Table) -> pa.Table:
        if 7 in rows["id"].to_pylist():
            raise ValueError("x" * 9_000 + "the end")
        return rows

    shards = pair.source.scan().shards(n=4)

    run = lf.foreach(shards, loud, into=pair.into, run_id="l1", engine="serial", on_error="quarantine")

    [failure] = read_record(run.journal).failures
    assert len(failure["traceback"]) < 8_100
    assert failure["traceback"].startswith("[")
    assert "the end" in failure["traceback"]


def mended(rows: pa.Table) -> pa.Table:
    """What a run goes on with."""
    return rows


def test_other_code_is_part_of_the_lineage(pair: Any) -> None:
    """A run that went on with a mended function names both, and the hash of either's code."""
    with pytest.raises(lf.LakeflowError):
        lf.foreach(pair.source.scan().shards(n=4), picky, into=pair.into, run_id="p1", engine="serial")
    run = lf.resume("p1", mended, lake=lf.connect(), allow_code_change=True, engine="serial")

    record = read_record(run.journal)

    [code] = record.codes
    page = render_report(record)
    assert code["file"] != record.plan["code"]
    for said in ("test_report:picky", "test_report:mended", record.plan["code"], code["file"]):
        assert said in page


def test_a_run_that_writes_nothing_has_no_page(pair: Any) -> None:
    """Nothing is kept of it."""
    run = lf.foreach(pair.source, len, engine="serial")

    with pytest.raises(InputError, match="Nothing is kept"):
        run.report()


def test_a_folder_without_a_plan_is_no_run(pair: Any) -> None:
    """Somebody deleted it."""
    run = lf.foreach(pair.source, lambda rows: rows, into=pair.into, run_id="r1", engine="serial")
    journal = run.journal
    assert journal is not None
    journal.transport.delete(f"{journal.folder}/plan.json")

    with pytest.raises(NotFoundError, match="no run in"):
        run.report()
