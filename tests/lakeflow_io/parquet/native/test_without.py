"""The compiled decoder is there when the tests run, is right in any thread, and nothing is wrong without it."""

from __future__ import annotations

from threading import Barrier, Thread
from typing import Any

import pyarrow as pa
import pytest

from lakeflow_io.parquet import decode
from lakeflow_io.parquet.footer import parse_footer
from lakeflow_io.parquet.layout import file_layout
from lakeflow_io.parquet.native import binding, column
from lakeflow_io.parquet.native import footer as native_footer
from lakeflow_io.parquet.native.codecs import Codec
from lakeflow_io.parquet.ranges import column_chunks

TABLE = pa.table(
    {
        "number": pa.array([None if i % 5 == 0 else i for i in range(5000)], pa.int64()),
        "text": [f"text {i % 70}" for i in range(5000)],
        "flag": [i % 3 == 0 for i in range(5000)],
        "nested": [[i, i + 1] for i in range(5000)],
    }
)


def test_the_library_was_built() -> None:
    """The environment that runs the tests has the decoder: a silent fallback would hide it from all others."""
    assert binding.library() is not None


def test_a_scan_uses_it(memory_files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader asks pyarrow for the columns that aren't flat, and for no other."""
    files = memory_files(TABLE.schema)
    files.add(TABLE)
    asked: set[str] = set()
    with_pyarrow = decode._with_pyarrow

    def noted(footer: Any, group: int, columns: list[str], fetched: Any) -> pa.Table:
        asked.update(columns)
        return with_pyarrow(footer, group, columns, fetched)

    monkeypatch.setattr(decode, "_with_pyarrow", noted)

    found = files.read()

    assert TABLE.equals(found)
    assert asked == {"nested"}


def test_everything_reads_without_the_library(
    memory_files: Any, written: Any, natively: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no compiler, pyarrow decodes: the same columns, through the reader."""
    monkeypatch.setattr(binding, "library", lambda: None)
    monkeypatch.setattr(native_footer, "library", lambda: None)
    files = memory_files(TABLE.schema)
    files.add(TABLE)

    assert set(natively(written(TABLE)).values()) == {None}
    assert TABLE.equals(files.read())


def test_threads_are_independent(written: Any, natively: Any) -> None:
    """Threads that decode at once have scratch memory of their own, also where pages go through Python."""
    tables = [
        pa.table({"c": [f"{seed}-{i % (50 + seed)}" for i in range(20_000)], "n": [seed * i for i in range(20_000)]})
        for seed in range(4)
    ]
    codecs = ["snappy", "gzip", "zstd", "brotli"]
    files = [
        written(table, compression=codec, data_page_size=3000) for table, codec in zip(tables, codecs, strict=True)
    ]
    together, wrong = Barrier(len(files)), []

    def check(index: int) -> None:
        together.wait()
        for _ in range(8):
            found = natively(files[index])
            if any(not tables[index][name].chunk(0).equals(found[name]) for name in ("c", "n")):
                wrong.append(index)

    threads = [Thread(target=check, args=(index,)) for index in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_thread_that_ends_gives_its_memory_back(written: Any, natively: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch memory is freed with its thread, without waiting for the garbage collector."""
    file, freed = written(TABLE), []
    original = binding.Worker.__del__
    monkeypatch.setattr(binding.Worker, "__del__", lambda worker: (freed.append(worker._scratch), original(worker)))
    thread = Thread(target=natively, args=(file,))

    thread.start()
    thread.join()

    assert len(freed) == 1


def test_an_interrupt_within_a_page_is_no_data(written: Any, natively: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is raised while Python decompresses a page comes out; it never ends as a decoded column."""

    def interrupted(*_: Any) -> bool:
        raise KeyboardInterrupt

    file = written(TABLE, compression="gzip")
    monkeypatch.setitem(column.CODECS, "GZIP", Codec(2, interrupted))

    with pytest.raises(KeyboardInterrupt):
        natively(file)


@pytest.mark.parametrize("rows", [-1, 101, 2**31 - 1, 2**40, 2**62])
@pytest.mark.parametrize("uncompressed", [-1, 0, 2**31, 2**62])
def test_a_footer_that_lies_about_sizes_is_left_to_pyarrow(rows: int, uncompressed: int, written: Any) -> None:
    """Claims of more than there is, or than memory holds: nothing is decoded, and nothing is raised."""
    file = written(pa.table({"n": list(range(100)), "s": ["text"] * 100}), compression="none")
    footer = parse_footer("memory", len(file), memoryview(file))
    chunks = column_chunks(footer.metadata.row_group(0), [0, 1])
    jobs = [
        (flat, chunk._replace(uncompressed=uncompressed), memoryview(file)[chunk.start : chunk.end])
        for flat, chunk in zip(file_layout(footer).flat.values(), chunks, strict=True)
    ]

    assert column.decode_chunks(jobs, rows) == [None, None]
