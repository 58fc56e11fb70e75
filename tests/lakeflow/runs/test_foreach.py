"""A function over shards: the same rows on every executor, in one snapshot."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import lakeflow as lf
from lakeflow_io.errors import InputError


@pytest.fixture(params=["serial", "threads", "client", "address"])
def engine(request: pytest.FixtureRequest) -> Any:
    """Each executor."""
    if request.param in ("serial", "threads"):
        return request.param
    client = request.getfixturevalue("dask_client")
    return client if request.param == "client" else client.scheduler.address


def test_every_engine_writes_the_same_rows_once(any_pair: Any, engine: Any) -> None:
    """All rows pass through the function and lie in exactly one snapshot, on every store and executor."""

    def double(rows: pa.Table) -> pa.Table:
        return rows.set_column(2, "half", pc.multiply(rows["half"], 2.0))

    run = lf.foreach(any_pair.source.scan().shards(n=4), double, into=any_pair.into, engine=engine, run_id="run-1")

    assert list(range(40)) == any_pair.written
    assert [(run.snapshot_id, "append")] == [(each.id, each.operation) for each in any_pair.into.snapshots()]
    assert {"id": 7, "text": "row 7", "half": 7.0} in any_pair.into.scan().read().to_pylist()
    assert (run.shards, run.ran, run.rows, run.run_id) == (4, 4, 40, "run-1")


@pytest.mark.timeout(120)
def test_dask_starts_processes_of_its_own(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`engine="dask"` needs nothing that runs already, and what its workers inherit isn't left to this process."""
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)

    def same(rows: pa.Table) -> pa.Table:
        return rows

    lf.foreach(pair.source.scan().shards(n=4), same, into=pair.into, engine="dask", slots=2)

    assert list(range(40)) == pair.written
    assert before == dict(os.environ)


def test_the_snapshot_tells_where_its_rows_came_from(pair: Any) -> None:
    """The summary holds the run, the plan's digest, the input's snapshot, shards and rows."""
    run = lf.foreach(pair.source.scan().shards(n=4), lambda rows: rows, into=pair.into, run_id="told", engine="serial")

    summary = pair.into.refresh().snapshot.summary
    assert (summary["lakeflow.run-id"], summary["lakeflow.shards"], summary["lakeflow.rows"]) == ("told", "4", "40")
    assert summary["lakeflow.source"] == f"{pair.source.name}@{pair.source.snapshot.id}"
    assert summary["lakeflow.plan-digest"] == run.publication.plan_digest


def polars_frame(rows: pl.DataFrame) -> pl.DataFrame:
    """Polars in and out."""
    assert isinstance(rows, pl.DataFrame)
    return rows


def pandas_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with pandas."""
    assert isinstance(rows, pd.DataFrame)
    return rows


def lazy_frame(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The same, lazily."""
    return rows.filter(pl.col("id") >= 0)


def stream(rows: pa.RecordBatchReader) -> Any:
    """A generator of batches."""
    yield from rows


@pytest.mark.parametrize("function", [polars_frame, pandas_frame, lazy_frame, stream])
def test_the_annotation_chooses_the_frame(pair: Any, function: Any) -> None:
    """Functions over any frame write the same rows."""
    lf.foreach(pair.source.scan().shards(n=2), function, into=pair.into, engine="serial")

    assert list(range(40)) == pair.written


def test_values_come_back_in_the_order_of_the_shards(pair: Any) -> None:
    """Without `into`, whatever the function returns is in `results`; nothing is written."""
    shards = pair.source.scan().shards(n=4)

    run = lf.foreach(shards, lambda rows: min(rows["id"].to_pylist()), engine="threads", slots=3)

    assert [min(lf_rows(shard)) for shard in shards] == run.results
    assert run.publication is None
    with pytest.raises(InputError, match="no table"):
        _ = run.snapshot_id


def lf_rows(shard: lf.Shard) -> list[int]:
    """The ids of one shard, read alone."""
    from lakeflow.scan import read_shard

    return read_shard(shard)["id"].to_pylist()


def test_a_scan_stands_for_its_shards(pair: Any) -> None:
    """`foreach(scan, ...)` cuts default shards; the filter and the columns are the scan's."""
    run = lf.foreach(pair.source.scan(columns=["id"], where="id < 5"), lambda rows: rows.to_pylist(), engine="serial")

    assert [{"id": each} for each in range(5)] == [row for rows in run.results for row in rows]


def test_parameters_and_shared_tables_reach_the_function(pair: Any) -> None:
    """`params` by name; `shared` tables by name and in the frame their annotation asks for."""

    def label(rows: pa.Table, names: pl.DataFrame, prefix: str, more: int = 1) -> pa.Table:
        texts = [prefix + names["name"][each % 2] * more for each in rows["id"].to_pylist()]
        return rows.set_column(1, "text", pa.array(texts))

    lf.foreach(
        pair.source.scan().shards(n=2), label, into=pair.into, engine="threads",
        params={"prefix": ">", "more": 2}, shared={"names": {"name": ["even", "odd"]}},
    )  # fmt: skip

    assert {">eveneven", ">oddodd"} == set(pair.into.refresh().scan().read().to_arrow()["text"].to_pylist())


def test_an_empty_input_is_an_empty_run(embedded: lf.Lake, namespace: str, pair: Any) -> None:
    """No shards are no work: the run publishes nothing wrong, and again is the same."""
    empty = embedded.create_table(f"{namespace}.empty", pair.source.schema)

    for _ in range(2):
        run = lf.foreach(empty.scan().shards(n=4), lambda rows: rows, into=pair.into, engine="serial", run_id="none")

    assert (run.shards, run.rows, pair.written) == (0, 0, [])


def test_a_function_may_return_no_rows(pair: Any) -> None:
    """Shards without a result are done; the others' rows are written."""
    lf.foreach(
        pair.source.scan().shards(n=4),
        lambda rows: rows.filter(pc.greater(rows["id"], 25)),
        into=pair.into,
        engine="threads",
    )

    assert list(range(26, 40)) == pair.written


def square(item: int, offset: int = 0) -> int:
    """A function of an item."""
    return item * item + offset


def test_items_are_handed_over_as_they_are() -> None:
    """A list of anything is an input: values come back in its order."""
    run = lf.foreach([3, 1, 2], square, params={"offset": 1}, engine="serial")

    assert run.results == [10, 2, 5]
    assert (run.shards, run.ran, run.publication) == (3, 3, None)


def test_rows_made_of_items_are_written_once(pair: Any) -> None:
    """Items that make rows are a run like any other: one snapshot, and a no-op under its id."""
    starts = [0, 10, {"start": 20}]

    def rows(item: Any) -> pa.Table:
        first = item["start"] if isinstance(item, dict) else item
        ids = list(range(first, first + 10))
        return pa.table({"id": ids, "text": [str(each) for each in ids], "half": [each / 2 for each in ids]})

    first, second = (lf.foreach(starts, rows, into=pair.into, run_id="items", engine="serial") for _ in range(2))

    assert list(range(30)) == pair.written
    assert (first.snapshot_id, 3, 0) == (second.snapshot_id, first.ran, second.ran)


def test_shards_and_other_items_are_two_runs(pair: Any) -> None:
    """What mixes them is the caller's mistake."""
    with pytest.raises(InputError, match="shards and other items"):
        lf.foreach([*pair.source.scan().shards(n=2), 1], lambda rows: rows)
