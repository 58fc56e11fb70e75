"""`lakeflow scan`: rows are read, shown or written, and what it took is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from lakeflow.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    import lakeflow as lf


@pytest.fixture
def table(embedded: lf.Lake, numbers: Callable[..., pa.Table]) -> lf.Table:
    """A table of 100 rows in two files."""
    made = embedded.create_table("kg.titles", numbers(1).schema)
    made.append(numbers(50))
    made.append(numbers(50, 50))
    return made


def scan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run `lakeflow scan`; its exit code, standard output and standard error."""
    code = 0
    try:
        main(["scan", *arguments])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_report_says_what_was_asked_of_the_store(table: lf.Table, capsys: Any) -> None:
    """Every figure of the report is there for a script, and adds up."""
    code, out, _ = scan(capsys, table.name, "--report", "--json")

    found = json.loads(out)
    assert (code, found["rows"]) == (0, 100)
    report = found["report"]
    assert (report["files"], report["row_groups"], report["requests"], report["retries"]) == (2, 2, 2, 0)
    assert 0 < report["bytes_wanted"] <= report["bytes_fetched"]
    assert report["verdict"] in ("network", "decoding", "consumer")


def test_a_report_for_people(table: lf.Table, capsys: Any) -> None:
    """A line for each question, in words."""
    code, out, _ = scan(capsys, table.name, "--report")

    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("100 rows, ")
    assert [line.split()[0] for line in lines[1:]] == [
        "files", "requests", "bytes", "first", "waited", "decoding", "memory",
    ]  # fmt: skip


def test_a_filter_columns_and_a_limit(table: lf.Table, capsys: Any) -> None:
    """Rows are shown where few were asked for; remarks go to standard error."""
    code, out, err = scan(capsys, table.name, "--columns", "id,half", "--where", "id >= 60", "--limit", "2")

    assert (code, out.splitlines()) == (0, ["id\thalf", "60\t30.0", "61\t30.5"])
    assert err.startswith("2 rows, ")


def test_a_snapshot_by_id_tag_and_moment(table: lf.Table, capsys: Any) -> None:
    """`--snapshot` takes whatever names one; what names none must be changed."""
    first = table.tag("v1", table.snapshots()[0].id)

    for name, rows in ((str(first.id), 50), ("v1", 50), (first.committed.isoformat(), 50), ("main", 100)):
        assert json.loads(scan(capsys, table.name, "--snapshot", name, "--json")[1])["rows"] == rows
    for name in ("v2", "7", "1990-01-01T00:00Z"):
        assert scan(capsys, table.name, "--snapshot", name)[0] == 2


def test_rows_are_written_to_a_file(table: lf.Table, capsys: Any, tmp_path: Path) -> None:
    """`--output` streams into Parquet; a path is read as a table is."""
    written = tmp_path / "out.parquet"

    assert scan(capsys, table.name, "--where", "id < 7", "--output", str(written))[0] == 0
    assert pq.read_table(written)["id"].to_pylist() == list(range(7))
    code, out, _ = scan(capsys, str(written), "--limit", "1", "--columns", "text")
    assert (code, out.splitlines()) == (0, ["text", "row 0"])


def test_a_scan_that_fails_leaves_the_file_as_it_was(table: lf.Table, capsys: Any, tmp_path: Path) -> None:
    """Half of the rows under the wanted name would pass for all of them."""
    written = tmp_path / "out.parquet"
    written.write_bytes(b"before")
    last = table.scan().pieces[-1].path.removeprefix("file://")
    Path(last).unlink()

    code, _, err = scan(capsys, table.name, "--output", str(written))

    assert code == 1
    assert last in err
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["out.parquet"]
    assert written.read_bytes() == b"before"


def test_a_file_may_be_written_over_by_a_scan_of_itself(table: lf.Table, capsys: Any, tmp_path: Path) -> None:
    """It is read to its end before it is replaced."""
    written = str(tmp_path / "out.parquet")
    scan(capsys, table.name, "--output", written)

    code, _, _ = scan(capsys, written, "--where", "id < 3", "--output", written)

    assert (code, pq.read_table(written)["id"].to_pylist()) == (0, [0, 1, 2])


def test_a_limited_scan_names_the_budget_it_was_given(table: lf.Table, capsys: Any) -> None:
    """However carefully the reader goes about few rows."""
    _, out, _ = scan(capsys, table.name, "--limit", "1", "--memory", "64 MiB", "--report", "--json")

    report = json.loads(out.splitlines()[-1])["report"]
    assert report["budget_bytes"] == 64 * 2**20
    assert report["compiled"]


def test_shown_rows_in_json(table: lf.Table, capsys: Any) -> None:
    """One object, whatever was asked for."""
    _, out, _ = scan(capsys, table.name, "--limit", "2", "--where", "id < 2", "--columns", "id, half", "--json")

    assert json.loads(out)["shown"] == [{"id": 0, "half": 0.0}, {"id": 1, "half": 0.5}]


def test_a_link_is_written_through(table: lf.Table, capsys: Any, tmp_path: Path) -> None:
    """The file that it points at has the rows; the link stays one."""
    link, behind = tmp_path / "link.parquet", tmp_path / "behind.parquet"
    behind.touch()
    link.symlink_to(behind)

    assert scan(capsys, table.name, "--output", str(link))[0] == 0
    assert link.is_symlink()
    assert pq.read_metadata(behind).num_rows == 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kg.nope"], "kg.titles"),
        (["kg.titles", "--columns", "idd"], "did you mean id"),
        (["kg.titles", "--where", "id >"], "does not parse"),
        (["kg.titles", "--memory", "lots"], "is no size"),
        (["./nowhere/"], "No files"),
        (["kg.titles", "--output", "/dev/null"], "no regular file"),
        (["kg.titles", "--output", "nowhere/out.parquet"], "there is no folder"),
    ],
)
def test_wrong_calls_are_told(table: lf.Table, capsys: Any, arguments: list[str], said: str) -> None:
    """Exit code 2, and what to do."""
    del table
    code, _, err = scan(capsys, *arguments)

    assert code == 2
    assert said in err


def test_a_scan_that_was_not_read_has_no_report(table: lf.Table) -> None:
    """There is nothing to tell yet."""
    from lakeflow import errors

    with pytest.raises(errors.InputError, match="not been read"):
        table.scan().report()
