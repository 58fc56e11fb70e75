"""The budget over files that aren't Parquet: stripes of ORC, and Avro files, which come whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lakeflow_io.reader import read_batches

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


def large(kind: str, files: Any, rows: int, seed: int) -> pa.Table:
    """Values that no encoding makes smaller, in stripes or blocks of a thousand rows."""
    random = np.random.default_rng(seed)
    made = pa.table({"id": random.integers(0, 2**62, rows), "text": random.integers(0, 2**62, rows).astype(str)})
    files.put(kind, made, group=1000, codec={"ORC": "uncompressed", "AVRO": "null"}[kind])
    return made


@pytest.mark.parametrize(("kind", "memory"), [("ORC", 2 * MIB), ("AVRO", MIB)])
def test_the_budget_holds(memory_files: Callable[..., Any], watched: Any, kind: str, memory: int) -> None:
    """What is fetched and decoded at one time stays below it, but for a file on its way; ten times as much is read."""
    files = memory_files(SCHEMA)
    while sum(piece.file_size for piece in files.pieces) < 10 * memory:
        large(kind, files, 6000, len(files.pieces))
    watched.objects = files.transport.objects
    watched.begin()
    rows = 0

    for batch in read_batches(files.spec(), files.pieces, memory=memory, transport=watched):
        watched.look()
        rows += batch.num_rows

    assert rows == sum(piece.rows for piece in files.pieces)
    assert watched.peak <= 1.5 * memory


def test_a_file_larger_than_the_budget_is_alone(memory_files: Callable[..., Any], watched: Any) -> None:
    """An Avro file that takes more than there is waits until nothing else is held, and then is read all the same."""
    files = memory_files(SCHEMA)
    rows = [large("AVRO", files, 40_000, seed) for seed in range(3)]
    largest = max(piece.file_size for piece in files.pieces)
    watched.objects = files.transport.objects
    watched.begin()
    found = []

    for batch in read_batches(files.spec(), files.pieces, memory=MIB, transport=watched):
        watched.look()
        found.append(batch["id"].to_pylist())

    assert [each for part in found for each in part] == pa.concat_tables(rows)["id"].to_pylist()
    assert watched.peak < 1.5 * largest
