"""A shard: an Arrow IPC file of rows sorted by key hash, and beside it the hashes alone as a numpy file.

The payload is plain: any Arrow tool can read it. The index repeats what can be computed from it, so
that a look-up touches a few pages of hashes and one row; it can be rebuilt at any time.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.durable import checksum, new_file
from lakeflow.cache.failures import reading, writing
from lakeflow.cache.hashing import hash_keys
from lakeflow.cache.manifest import FileFacts, ShardFacts
from lakeflow.cache.values import python_values
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from lakeflow.cache.keys import Key, KeyColumn
    from lakeflow.cache.values import Values

__all__ = ["Shard", "check_size", "find_rows", "open_shard", "rebuilt_index", "write_shard"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, mapped; it outlives its files' names."""

    rows: pa.RecordBatch
    keys: pa.Array
    """Structs where several columns are the key."""
    hashes: NDArray[np.uint64]
    """Sorted; one per row."""
    bisectable: memoryview[int]
    """The same hashes: `bisect` reads a memoryview three times as fast as numpy's scalars."""
    columns: Mapping[str, Values]
    """Each column's values as Python's."""

    def row_of(self, key: Key, key_hash: int) -> int:
        """Return the row of one key, or -1."""
        row = bisect_left(self.bisectable, key_hash)
        while row < len(self.bisectable) and self.bisectable[row] == key_hash:
            if _value(self.keys[row]) == key:
                return row
            row += 1
        return -1

    def rows_of(self, keys: pa.Array, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row of each key, or -1, as int64."""
        return find_rows(self.keys, self.hashes, keys, hashes)

    def row(self, number: int, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return one row as Python values.

        Args:
            number: Which.
            names: Which of its columns, in this order; all where None.

        Raises:
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        columns = self.columns if names is None else {name: self.columns[name] for name in names}
        try:
            return {name: column[number] for name, column in columns.items()}
        except (ValueError, OverflowError) as error:
            message = f"The row of key {self.keys[number]} has a value without a Python form: {error}"
            raise UnsupportedError(message, "read it as Arrow, with get_many().") from error


def find_rows(
    stored: pa.Array, stored_hashes: NDArray[np.uint64], keys: pa.Array, hashes: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Return where each of `keys` lies among stored ones that are sorted by hash, or -1, as int64.

    Each round compares the keys that are still open with the next row of equal hash; without
    collisions there is one round.
    """
    found = np.full(len(keys), -1, dtype=np.int64)
    rows = np.searchsorted(stored_hashes, hashes)
    open_ = np.arange(len(keys))
    while True:
        inside = rows < len(stored_hashes)
        open_, rows = open_[inside], rows[inside]
        same_hash = stored_hashes[rows] == hashes[open_]
        open_, rows = open_[same_hash], rows[same_hash]
        if not len(open_):
            return found
        hit = _equal(stored.take(pa.array(rows)), keys.take(pa.array(open_)))
        found[open_[hit]] = rows[hit]
        open_, rows = open_[~hit], rows[~hit] + 1


def write_shard(folder: Path, name: str, rows: pa.RecordBatch, hashes: NDArray[np.uint64]) -> ShardFacts:
    """Write rows that are sorted by hash, and their index.

    Raises:
        StoreError: as `failures.writing` says.
    """
    payload, index = folder / f"{name}.arrow", folder / f"{name}.idx"
    with new_file(payload) as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_batch(rows)
    with new_file(index) as file:
        np.save(file, hashes)
    return ShardFacts(
        rows=len(hashes),
        first_hash=int(hashes[0]),
        last_hash=int(hashes[-1]),
        payload=_facts(payload),
        index=_facts(index),
        owner=folder.name,
    )


def open_shard(folder: Path, facts: ShardFacts, key: KeyColumn) -> Shard:
    """Map a shard and close its files: the mappings stay, and cost no file descriptors.

    Raises:
        ObjectNotFoundError: a file is gone.
        CorruptFileError: a file has another size than the manifest says, or can't be decoded.
    """
    rows = _map_payload(folder, facts.payload)
    hashes = _map_index(folder, facts.index)
    if not rows.num_rows == len(hashes) == facts.rows:
        counts = f"{rows.num_rows} rows, its index {len(hashes)}, the manifest {facts.rows}"
        message = f"{folder / facts.payload.name} has {counts}."
        raise CorruptFileError(message, "roll back to another version, or build it again.")
    with reading(folder / facts.payload.name):
        columns = {name: python_values(column) for name, column in zip(rows.schema.names, rows.columns, strict=True)}
        return Shard(rows, key.keys_of(rows), hashes, hashes.data, columns)


def rebuilt_index(folder: Path, facts: ShardFacts, key: KeyColumn) -> bytes:
    """Compute the index from the payload.

    Raises:
        CorruptFileError, ObjectNotFoundError: the payload can't be read.
    """
    hashes = hash_keys(key.keys_of(_map_payload(folder, facts.payload)))
    draft = pa.BufferOutputStream()
    np.save(draft, hashes)
    return draft.getvalue().to_pybytes()


def _value(key: pa.Scalar) -> Key:
    """Return a key as a look-up has it: a struct as a tuple."""
    value = key.as_py()
    return tuple(value.values()) if isinstance(value, dict) else value


def _equal(left: pa.Array, right: pa.Array) -> NDArray[np.bool_]:
    if pa.types.is_struct(left.type):
        pairs = zip(left.flatten(), right.flatten(), strict=True)
        return np.logical_and.reduce([_equal(*pair) for pair in pairs])
    equal: NDArray[np.bool_] = pc.call_function("equal", [left, right]).to_numpy(zero_copy_only=False)
    return equal


def _facts(path: Path) -> FileFacts:
    with writing(path):
        size = path.stat().st_size
    return FileFacts(path.name, size, checksum(path))


def _map_payload(folder: Path, facts: FileFacts) -> pa.RecordBatch:
    path = folder / facts.name
    check_size(path, facts)
    with reading(path), pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).get_batch(0)


def _map_index(folder: Path, facts: FileFacts) -> NDArray[np.uint64]:
    path = folder / facts.name
    check_size(path, facts)
    with reading(path), pa.memory_map(str(path)) as source:
        mapped = source.read_buffer()
        header = pa.BufferReader(mapped)
        np.lib.format.read_magic(header)
        shape, _, _ = np.lib.format.read_array_header_1_0(header)
        return np.frombuffer(mapped, dtype=np.uint64, count=shape[0], offset=header.tell())


def check_size(path: Path, facts: FileFacts) -> None:
    """Compare a file's size with the manifest's.

    Raises:
        ObjectNotFoundError: the file is gone.
        CorruptFileError: it has another size.
    """
    with reading(path):
        size = path.stat().st_size
    if size != facts.bytes:
        message = f"{path} has {size} bytes; the manifest says {facts.bytes}."
        raise CorruptFileError(message, "roll back to another version, or build it again.")
