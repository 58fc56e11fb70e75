"""The rows that all load: a 15-byte key and ten float32 columns, in Arrow memory."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks.home import home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["COLUMNS", "key_of", "keys_of", "mapped", "pieces", "rows_file", "values_of"]

COLUMNS = tuple(f"score_{number}" for number in range(10))
_BATCH_ROWS = 1_000_000
_PAGE_BYTES = 4096


def rows_file(rows: int) -> Path:
    """The file with so many rows, made where it is missing; keys in random order."""
    path = home() / "cache" / f"{rows}.arrow"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        random = np.random.default_rng(0)
        numbers = random.permutation(rows)
        schema = pa.schema([("key", pa.string()), *((name, pa.float32()) for name in COLUMNS)])
        with pa.ipc.new_file(draft, schema) as writer:
            for start in range(0, rows, _BATCH_ROWS):
                part = numbers[start : start + _BATCH_ROWS]
                columns = [pa.array(random.random(len(part), dtype=np.float32)) for _ in COLUMNS]
                writer.write_batch(pa.record_batch([keys_of(part), *columns], schema=schema))
        draft.replace(path)
    return path


def key_of(number: int) -> str:
    """One key, of 15 characters."""
    return f"user-{number:010d}"


def keys_of(numbers: np.ndarray) -> pa.Array:
    """The keys of many numbers."""
    texts = np.char.encode(np.char.mod("user-%010d", numbers))
    return pa.Array.from_buffers(
        pa.string(),
        len(numbers),
        [None, pa.py_buffer(np.arange(len(numbers) + 1, dtype=np.int32) * 15), pa.py_buffer(texts)],
    )


@cache
def mapped(path: str) -> pa.Table:
    """Map the rows, with every page in memory before it returns; once a process."""
    with pa.memory_map(path) as source:
        table = pa.ipc.open_file(source).read_all()
    for column in table.columns:
        for chunk in column.chunks:
            for buffer in filter(None, chunk.buffers()):
                np.frombuffer(buffer, dtype=np.uint8)[::_PAGE_BYTES].sum()
    return table


def pieces(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """A table, so many rows at a time."""
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def values_of(table: pa.Table) -> Iterator[tuple[float, ...]]:
    """The values of each row as Python floats."""
    return zip(*(table[name].to_numpy().tolist() for name in COLUMNS), strict=True)
