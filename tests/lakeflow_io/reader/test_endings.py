"""However a scan ends, and whoever ends it: no thread, no request and no buffer stays behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lakeflow_io.errors import CorruptFileError, StoreError
from lakeflow_io.parquet.decode import decode_columns
from lakeflow_io.parquet.ranges import column_chunks
from lakeflow_io.reader import fetch, pipeline, read_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
HANG_SECONDS = 240


@pytest.fixture
def scan(memory_files: Callable[..., Any], watched: Any) -> Iterator[Callable[..., Any]]:
    """Begin a scan of two files of five row groups: of the second one, nothing but its footer is ever answered."""
    files = memory_files(SCHEMA, 20_000)
    for seed in range(2):
        random = np.random.default_rng(seed)
        texts = random.integers(0, 2**62, 100_000).astype(str)
        files.add(pa.table({"id": random.integers(0, 2**62, 100_000), "text": texts}))
    watched.objects = files.transport.objects
    watched.second = files.pieces[1]

    hangs = asyncio.Event()

    async def answer(uri: str, start: int, length: int) -> None:
        if uri == watched.second.path and start + length < watched.second.file_size:
            watched.loop = asyncio.get_running_loop()
            hangs.set()
            await asyncio.Event().wait()
        elif watched.first_waits and uri != watched.second.path and start + length < files.pieces[0].file_size:
            await hangs.wait()  # so that whoever has a batch knows that a request hangs

    watched.first_waits = False
    watched.answer = answer
    watched.files = files
    watched.begin()
    yield lambda **options: read_batches(files.spec(), files.pieces, transport=watched, **options)
    del watched.answer


@pytest.fixture
def nothing_left(watched: Any, threads: Callable[[], list[threading.Thread]]) -> Callable[[], None]:
    """Claims that what the scan had is gone."""

    def check() -> None:
        for _ in range(2):  # what ends in the first one leaves cycles to the second one
            gc.collect()
        assert [each.name for each in threads()] == []
        assert (watched.open, watched.alive, watched.held) == (0, 0, 0)

    return check


@contextmanager
def no_collector() -> Iterator[None]:
    """Garbage is collected when the test says so."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_consumer_that_closes(scan: Any, watched: Any, nothing_left: Callable[[], None]) -> None:
    """Requests that hang are dropped when the iterator is closed."""
    watched.first_waits = True
    batches = scan()
    next(batches)
    assert watched.open > 0

    batches.close()

    nothing_left()


def test_a_consumer_that_raises(scan: Any, nothing_left: Callable[[], None]) -> None:
    """An exception in the body of a loop over the batches ends the scan."""

    def consume() -> None:
        for batch in scan():
            assert batch.num_rows
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()

    nothing_left()


def test_a_consumer_that_lets_go(
    scan: Any, threads: Callable[[], list[threading.Thread]], nothing_left: Callable[[], None]
) -> None:
    """The last reference ends the scan, also that of a reader over it; the garbage collector isn't needed."""
    with no_collector():
        batches = scan()
        first = next(batches)
        reader = pa.RecordBatchReader.from_batches(first.schema, batches)
        assert threads()

        del batches, first, reader

        assert threads() == []
    nothing_left()


def test_a_scan_in_a_cycle(scan: Any, nothing_left: Callable[[], None]) -> None:
    """The garbage collector ends it."""
    cycle: list[Any] = [scan()]
    cycle.append(cycle)
    next(cycle[0])

    del cycle

    nothing_left()


@pytest.fixture
def closers(monkeypatch: pytest.MonkeyPatch) -> SimpleQueue[str]:
    """The name of each thread that has closed a scan."""
    names: SimpleQueue[str] = SimpleQueue()
    close = pipeline._Pipeline._close

    def closing(scan: Any) -> None:
        close(scan)
        names.put(threading.current_thread().name)

    monkeypatch.setattr(pipeline._Pipeline, "_close", closing)
    return names


def test_a_cycle_that_a_decoder_collects(
    scan: Any,
    closers: SimpleQueue[str],
    threads: Callable[[], list[threading.Thread]],
    nothing_left: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The garbage collector runs wherever memory is allocated: a decoder, which can't wait for itself, doesn't."""
    dropped = threading.Event()

    def decoding(footer: Any, layout: Any, group: int, *rest: Any) -> Any:
        if group:
            dropped.wait(HANG_SECONDS)
            gc.collect()
        return decode_columns(footer, layout, group, *rest)

    monkeypatch.setattr("lakeflow_io.reader.files.decode_columns", decoding)

    with no_collector():
        # A unit is a sixteenth of the budget: a row group, of which the first one alone is decoded.
        cycle: list[Any] = [scan(memory=8_000_000)]
        cycle.append(cycle)
        next(cycle[0])
        del cycle
        dropped.set()
        assert closers.get(timeout=HANG_SECONDS) == "lakeflow-close"
    for thread in threads():
        thread.join(HANG_SECONDS)

    nothing_left()


def test_a_cycle_that_the_fetching_thread_collects(
    scan: Any,
    watched: Any,
    closers: SimpleQueue[str],
    threads: Callable[[], list[threading.Thread]],
    nothing_left: Callable[[], None],
) -> None:
    """Nor does the thread of all requests wait for itself."""
    watched.first_waits = True

    with no_collector():
        cycle: list[Any] = [scan()]
        cycle.append(cycle)
        next(cycle[0])
        del cycle
        watched.loop.call_soon_threadsafe(gc.collect)
        assert closers.get(timeout=HANG_SECONDS) == "lakeflow-close"
    for thread in threads():
        thread.join(HANG_SECONDS)

    nothing_left()


def test_a_store_that_fails(
    scan: Any, watched: Any, nothing_left: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is kept, what was read is not."""

    async def answer(uri: str, start: int, length: int) -> None:
        if uri == watched.second.path and start + length < watched.second.file_size:
            raise StoreError(f"{uri} is out of reach.")

    watched.answer = answer
    monkeypatch.setattr(fetch, "_BACKOFF_SECONDS", 0.0)

    with pytest.raises(StoreError) as kept:
        list(scan())

    assert "10 attempts" in kept.value.message
    nothing_left()


def test_a_page_that_does_not_decode(scan: Any, watched: Any, nothing_left: Callable[[], None]) -> None:
    """The error is kept, and the frames in its traceback have let go of the bytes."""
    import pyarrow.parquet as pq

    piece = watched.files.pieces[0]
    data = bytearray(watched.objects[piece.path])
    chunk = column_chunks(pq.read_metadata(pa.BufferReader(bytes(data))).row_group(1), [1])[0]
    data[chunk.start + chunk.length // 2] ^= 1
    watched.objects[piece.path] = bytes(data)

    with pytest.raises(CorruptFileError) as kept:
        list(scan())

    assert kept.value.__traceback__ is not None
    nothing_left()


def test_a_scan_that_can_not_begin(
    scan: Any, nothing_left: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails while a scan is being set up leaves none of its threads."""

    def refuse(*_: object, **__: object) -> None:
        raise CorruptFileError("no.")

    monkeypatch.setattr(pipeline, "Files", refuse)

    with pytest.raises(CorruptFileError):
        next(scan())

    nothing_left()


def test_a_process_that_ends_in_the_middle() -> None:
    """A script whose last line leaves a scan open, with requests that hang, ends."""
    script = """
import asyncio
import pyarrow as pa, pyarrow.parquet as pq
from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.iceberg.plan import Piece, ReadSpec
from lakeflow_io.reader import read_batches
from lakeflow_io.storage import MemoryTransport

class Hanging(MemoryTransport):
    async def get_range_async(self, uri, start, length, on_first_byte=None):
        if uri.endswith("1"):
            await asyncio.Event().wait()
        return await super().get_range_async(uri, start, length, on_first_byte)

schema = pa.schema([pa.field("id", pa.int64(), metadata={"PARQUET:field_id": "1"})])
sink = pa.BufferOutputStream()
pq.write_table(pa.table({"id": range(1000)}, schema=schema), sink)
data = bytes(sink.getvalue())
transport = Hanging()
columns = fresh_schema(pa.schema([("id", pa.int64())]), 2)
pieces = []
for number in range(2):
    transport.objects[f"memory://b/{number}"] = data
    pieces.append(Piece(f"memory://b/{number}", len(data), 0, len(data), 1000, "", ""))
spec = ReadSpec("t", 1, columns, columns, None, None, 2, {})
batches = read_batches(spec, pieces, transport=transport)
print(next(batches).num_rows)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "1000\n", "")
