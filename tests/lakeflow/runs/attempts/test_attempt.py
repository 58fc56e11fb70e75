"""One attempt: what it is fed, what it writes, what it leaves behind, and how it tells what went wrong."""

# ruff: noqa: ARG001, T201, TC003  (functions of users: what they take and print, and annotations that are resolved)

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import polars as pl
import pyarrow as pa
import pytest

from lakeflow.runs.attempts import values
from lakeflow.runs.attempts.attempt import Attempt, Job, Valued, run_attempt
from lakeflow.runs.failures import Failure
from lakeflow.runs.outputs.table_sink import TableSink
from lakeflow.runs.work import Item
from lakeflow_engines.frames import parameter_kinds
from lakeflow_io.errors import (
    FunctionError,
    OutOfMemoryError,
    SchemaError,
    StoreError,
    TaskTimeoutError,
)
from lakeflow_io.storage import open_transport


@pytest.fixture
def attempt(pair: Any) -> Callable[..., Attempt]:
    """Maker of attempts at one shard of all rows, or at an item."""

    def make(function: Any, *, work: Any = None, named: bool = False, number: int = 0, **options: Any) -> Attempt:
        sink = TableSink(pair.into)
        writers = {"kept": sink.writer(), "dropped": sink.writer()} if named else {"output": sink.writer()}
        job = Job(**{
            "run_id": "run", "function": cloudpickle.dumps(function), "function_name": f"tests:{function.__name__}",
            "kinds": parameter_kinds(function), "params": {}, "shared": (), "writers": writers, "named": named,
            "folder": f"{pair.into.location}/_lakeflow/runs/run", "store": sink.store_properties, **options,
        })  # fmt: skip
        return Attempt(job, pair.source.scan().shards(n=1)[0] if work is None else work, number)

    return make


def written(pair: Any, attempt: Attempt) -> dict[str, list[int]]:
    """The ids in the files that a marker names, by output."""
    import json

    import pyarrow.parquet as pq

    transport = open_transport(attempt.job.store)
    marker = json.loads(bytes(transport.get(f"{attempt.job.folder}/done/{attempt.work.id}.json")))
    del pair
    return {
        name: sorted(
            each
            for file in files
            for each in pq.read_table(pa.BufferReader(bytes(transport.get(file["path"]))))["id"].to_pylist()
        )
        for name, files in marker["files"].items()
    }


def failure(result: Any) -> Failure:
    """An attempt's, which has to have failed."""
    assert isinstance(result, Failure), result
    return result


def whole(rows: pa.Table) -> pa.Table:
    return rows


def from_reader(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        print("a batch of", batch.num_rows)
        yield batch.filter(pa.compute.greater_equal(batch["id"], 20))


def from_batches(rows: Iterator[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    for batch in rows:
        yield pl.DataFrame(batch).filter(pl.col("id") >= 20)


def as_rows(rows: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in rows:
        yield from (row for row in batch.to_pylist() if row["id"] >= 20)


def hands_on(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    return rows


@pytest.mark.parametrize(
    ("function", "expected"),
    [(whole, range(40)), (hands_on, range(40)), (from_reader, range(20, 40)), (from_batches, range(20, 40)),
     (as_rows, range(20, 40))],
)  # fmt: skip
def test_rows_go_in_and_out_whole_or_as_they_come(pair: Any, attempt: Any, function: Any, expected: range) -> None:
    """A table, a reader, an iterator of batches; a frame, a generator of frames or of rows, a reader."""
    made = attempt(function)

    marker = run_attempt(made)

    assert isinstance(marker, dict)
    assert written(pair, made) == {"output": list(expected)}
    assert (marker["rows_in"], marker["rows"]) == (40, len(expected))


def test_a_marker_says_what_the_attempt_did(pair: Any, attempt: Any) -> None:
    """Times, memory, requests, place; its files are in the store's copy only."""
    before = time.time()

    marker = run_attempt(attempt(whole))

    assert isinstance(marker, dict)
    assert "files" not in marker
    assert marker["counts"]["output"] == {"files": 1, "rows": 40, "bytes": marker["bytes_out"]}
    assert before <= marker["started"] <= time.time()
    assert set(marker["seconds"]) == {"read", "function", "write"}
    assert marker["scan"]["bytes_fetched"] >= marker["scan"]["bytes_wanted"] > 0
    assert marker["peak_rss_bytes"] >= marker["rss_start_bytes"] > 2**20
    assert marker["worker"]["pid"] == os.getpid()
    assert len(pair.files) == 1


def test_a_generator_is_never_held_as_a_whole(attempt: Any) -> None:
    """Parts of 200 MB in all, of which the process never holds 150."""

    def parts(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
        columns = next(rows).schema
        for _ in range(40):
            text = pa.array(["x" * 1000] * 5_000)
            yield pa.table([pa.array(range(5_000)), text, pa.array([0.5] * 5_000)], schema=columns)

    marker = run_attempt(attempt(parts, memory=16 * 2**20))

    assert isinstance(marker, dict), marker
    assert marker["rows"] == 200_000
    assert marker["peak_rss_bytes"] - marker["rss_start_bytes"] < 150 * 2**20


def test_several_outputs_get_what_is_theirs(pair: Any, attempt: Any) -> None:
    """A dict of frames by the outputs' names; a name that is missing has no rows."""

    def tell_apart(rows: pl.DataFrame) -> dict[str, Any]:
        return {"kept": rows.filter(pl.col("id") < 10), "dropped": rows.filter(pl.col("id") >= 10)}

    def part_by_part(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
        rows = rows.sort("id")
        yield {"kept": rows.head(3)}
        yield {"kept": rows.tail(2), "dropped": None}

    made = attempt(tell_apart, named=True)
    marker = run_attempt(made)
    assert isinstance(marker, dict)
    assert written(pair, made) == {"kept": list(range(10)), "dropped": list(range(10, 40))}
    assert marker["counts"]["dropped"]["rows"] == 30

    made = attempt(part_by_part, named=True, folder=f"{pair.into.location}/_lakeflow/runs/other")
    run_attempt(made)
    assert written(pair, made) == {"kept": [0, 1, 2, 38, 39], "dropped": []}


@pytest.mark.parametrize(
    ("value", "says"), [({"else": None, "kept": None}, r"\['else'\], which are no outputs"), (7, "is a int, but")]
)
def test_what_names_no_output_is_refused(pair: Any, attempt: Any, value: Any, says: str) -> None:
    """The message has the names that there are."""
    result = failure(run_attempt(attempt(lambda _: value, named=True)))

    assert (result.kind, result.type) == ("function", "FunctionError")
    assert "'kept', 'dropped'" in f"{result.message} {result.hint}"
    with pytest.raises(FunctionError, match=says):
        raise result.raised()
    assert pair.files == []


def test_an_item_is_given_as_it_is(attempt: Any) -> None:
    """And its rows are written like any others."""

    def numbers(start: int) -> dict[str, list[Any]]:
        return {"id": [start], "text": ["x"], "half": [0.5]}

    marker = run_attempt(attempt(numbers, work=Item(3, 17)))

    assert isinstance(marker, dict)
    assert (marker["shard"], marker["rows_in"], marker["rows"]) == ("item-00003", 1, 1)


def test_a_value_comes_back_with_its_facts(attempt: Any) -> None:
    """Where nothing is written."""
    result = run_attempt(attempt(lambda rows: rows.num_rows, writers={}))

    assert isinstance(result, Valued)
    assert (result.value, result.facts["rows_in"]) == (40, 40)


def large(_: Any) -> bytes:
    return bytes(65 * 2**20)


def large_array(_: Any) -> Any:
    import numpy as np

    return {"scores": np.zeros(2**31, dtype="i1")}  # 2 GiB that are never touched


def unpicklable(_: Any) -> Any:
    import threading

    return threading.Lock()


@pytest.mark.parametrize(
    ("function", "says"),
    [(large, "more than 64 MiB"), (large_array, "more than 64 MiB"), (unpicklable, "can't be sent to the driver")],
)
def test_a_value_that_the_driver_cannot_take_is_refused(attempt: Any, function: Any, says: str) -> None:
    """Too large, or nothing that travels: the message names the shard, and what to do instead."""
    result = failure(run_attempt(attempt(function, writers={})))

    assert (result.kind, result.shard) == ("function", "shard-00000")
    assert says in result.message
    assert "into=" in str(result.hint)
    assert result.message.startswith("shard-00000: what tests:")
    assert values.MOST_VALUE_BYTES == 64 * 2**20


def fails_late(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield next(rows)
    print("so far", "so good")
    raise KeyError("titel")


def test_what_failed_is_told_and_leaves_nothing(pair: Any, attempt: Any) -> None:
    """The caller's traceback, what was printed, where and when; the files of its first part are gone."""
    result = failure(run_attempt(attempt(fails_late, number=2)))

    assert (result.shard, result.attempt, result.kind) == ("shard-00000", 2, "function")
    assert "fails_late raised KeyError: 'titel' at " in result.message
    assert 'raise KeyError("titel")' in result.traceback
    assert result.output == "so far so good\n"
    assert result.worker["pid"] == os.getpid()
    assert "lakeflow reproduce run shard-00000" in str(result.hint)
    assert pair.files == []
    assert Failure.from_record({**result.record("again"), "added": "later"}) == result


def no_memory(rows: pa.Table) -> pa.Table:
    raise MemoryError


def no_memory_in_arrow(rows: pa.Table) -> pa.Table:
    pa.allocate_buffer(2**62)
    return rows


class CudaOutOfMemoryError(RuntimeError):
    """As torch has one."""


def no_memory_elsewhere(rows: pa.Table) -> pa.Table:
    raise CudaOutOfMemoryError


@pytest.mark.parametrize("function", [no_memory, no_memory_in_arrow, no_memory_elsewhere])
def test_want_of_memory_is_known_by_any_name(attempt: Any, function: Any) -> None:
    """Python's, Arrow's, torch's: the scheduler tries it alone."""
    result = failure(run_attempt(attempt(function)))

    assert (result.kind, result.type) == ("out-of-memory", OutOfMemoryError.__name__)


def test_a_panic_is_an_error(attempt: Any) -> None:
    """Rust's panics are no Exceptions: Polars has some."""

    class PanicException(BaseException):
        """As pyo3 has one."""

    def panics(rows: pa.Table) -> pa.Table:
        raise PanicException

    assert failure(run_attempt(attempt(panics))).kind == "function"


def test_a_lost_shard_is_told_even_where_the_function_made_something_else_of_it(pair: Any, attempt: Any) -> None:
    """Reading failed under a function that swallows what it gets: it is the store's failure, and no result."""

    def swallows(rows: pa.RecordBatchReader) -> pl.DataFrame:
        try:
            return pl.DataFrame(rows.read_all())
        except Exception:  # noqa: BLE001
            raise RuntimeError("something went wrong") from None

    made = attempt(swallows)
    for piece in made.work.pieces:
        Path(piece.path.removeprefix("file://")).unlink()
    result = failure(run_attempt(made))

    assert (result.kind, result.type) == ("lasting", "ObjectNotFoundError")
    assert pair.files == []


def test_a_marker_that_got_no_answer_is_transient(pair: Any, attempt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files stay: it may have been put, and count."""
    from lakeflow.runs.state.journal import Journal

    def down(*_: Any) -> None:
        raise StoreError("The store is down.")

    monkeypatch.setattr(Journal, "mark_done", down)

    assert failure(run_attempt(attempt(whole))).kind == "transient"
    assert len(pair.files) == 1


def test_a_result_of_another_schema_is_refused_with_its_shard(pair: Any, attempt: Any) -> None:
    """Also in a later part of a generator: the parts before it are gone."""

    def changes(rows: pa.Table) -> Iterator[pa.Table]:
        yield rows
        yield rows.rename_columns(["id", "txt", "half"])

    result = failure(run_attempt(attempt(changes)))

    assert (result.kind, result.type) == ("function", SchemaError.__name__)
    assert "shard-00000" in result.message
    assert "unknown column 'txt'" in result.message
    assert pair.files == []


def test_a_task_over_its_deadline_leaves_nothing(pair: Any, attempt: Any) -> None:
    """The function is interrupted, its first part's files are deleted, and the traceback says where it was."""

    def never_ends(rows: pa.Table) -> Iterator[pa.Table]:
        yield rows
        while True:
            pass

    result = failure(run_attempt(attempt(never_ends, deadline=1.0)))

    assert (result.kind, result.type) == ("timeout", TaskTimeoutError.__name__)
    assert "shard-00000: tests:never_ends took longer than its deadline of 1.0 s" in result.message
    assert "in never_ends" in result.traceback
    assert pair.files == []


def test_an_attempt_that_was_overtaken_deletes_its_files(pair: Any, attempt: Any) -> None:
    """The first marker counts, and both attempts return it."""
    first = run_attempt(attempt(whole, number=0))
    second = run_attempt(attempt(whole, number=1))

    assert first == second
    assert len(pair.files) == 1


def test_a_failed_attempt_holds_nothing_of_what_it_read(attempt: Any) -> None:
    """A failure is kept for the whole run; the frames of its traceback held a shard's rows."""
    import gc
    import weakref

    held: list[weakref.ref[Any]] = []

    class Rows(list[int]):
        """Can be referred to weakly."""

    def fails(rows: pa.Table) -> pa.Table:
        big = Rows(rows["id"].to_pylist())
        held.append(weakref.ref(big))
        raise ValueError("no")

    made = attempt(whole)
    from lakeflow.runs.attempts import caller

    original = caller._load
    caller._load = lambda _: fails  # type: ignore[assignment]
    try:
        result = failure(run_attempt(made))
    finally:
        caller._load = original
    gc.collect()

    assert result.kind == "function"
    assert held[0]() is None
