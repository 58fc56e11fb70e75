"""A shard: an Arrow IPC file of rows sorted by key hash, its payload, and beside it an index.

The payload is plain: any Arrow tool can read it. A shard of `layout="rows"` has a third file, see `cache/rows`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.files.columns import schema_at
from lakeflow.cache.files.durable import new_file
from lakeflow.cache.files.failures import reading
from lakeflow.cache.files.index import HASH_BYTES, differs, mapped_file, open_index, summed, write_index
from lakeflow.cache.files.manifest import ShardFacts
from lakeflow.cache.files.mapping import expect_any
from lakeflow.cache.files.ranges import Sorted
from lakeflow.cache.files.values import python_values
from lakeflow.cache.rows.file import write_rows
from lakeflow.cache.rows.mapped import MappedRows
from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.keyed.blocks import BLOCK_BYTES, Blocks, Layouts
from lakeflow_io.keyed.finder import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from lakeflow.cache.files.manifest import FileFacts
    from lakeflow.cache.files.values import Values
    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.rows.fields import Fields

__all__ = ["Shard", "find_rows", "map_shard", "open_shard", "write_row_major", "write_shard"]

_HINT = (
    "call verify(), which tells whether it is the file or its index: roll back to another version, or call repair()."
)
_MAGIC_BYTES = 8
"""An Arrow file begins with "ARROW1" and two zeros; then come messages: Arrow Columnar Format, IPC File Format."""
_PREFIX_BYTES = 8


@dataclass(frozen=True)
class Shard:
    """A shard, mapped; it outlives its files' names.

    Nothing of it is to be relied on before it was compared with its checksums: `whole` compares all of it, a `Finder`
    and a `Gatherer` what they read, and `check` one row.
    """

    rows: pa.RecordBatch
    source: Source
    """Hashes, sorted, one per row; keys, structs where several columns are the key; and the blocks of both files."""
    bisectable: memoryview[int]
    """The same hashes: `bisect` reads a memoryview three times as fast as numpy's scalars."""
    payload: Blocks
    index: Blocks
    layouts: Layouts
    """Of all columns."""
    key_numbers: tuple[int, ...]
    """The places of the key's columns."""
    row_major: MappedRows | None
    """The rows once more, where the version has them so."""

    @cached_property
    def columns(self) -> Mapping[str, Values]:
        """Each column's values as Python's; who only looks many keys up needs none."""
        named = zip(self.rows.schema.names, self.rows.columns, strict=True)
        return {name: python_values(column) for name, column in named}

    def whole(self) -> Sorted:
        """Return all rows and their hashes, compared with their checksums; once for each mapping.

        Raises:
            CorruptFileError: a block differs.
        """
        self.index.check_all()
        self.payload.check_all()
        return Sorted(self.source.hashes, self.rows)

    def check(self, row: int, names: Sequence[str] | None = None) -> None:
        """Compare the values of one row with their checksums.

        Args:
            row: Which.
            names: Which of its columns; all where None.

        Raises:
            CorruptFileError: a block differs.
        """
        numbers = None if names is None else map(self.rows.schema.get_field_index, names)
        self.layouts.check_row(self.payload, row, numbers)

    def row_of(self, key: Key, key_hash: int, row: int | None = None) -> int:
        """Return the row of one key, or -1.

        Args:
            key: The key.
            key_hash: Its hash.
            row: The first one that has it; None where that isn't known, and all was compared.

        Raises:
            CorruptFileError: a block differs.
        """
        row = bisect_left(self.bisectable, key_hash) if row is None else row
        while row < len(self.bisectable):
            self.index.check(row * HASH_BYTES, (row + 1) * HASH_BYTES)
            if self.bisectable[row] != key_hash:
                break
            self.layouts.check_row(self.payload, row, self.key_numbers)
            if _value(self.source.keys[row]) == key:
                return row
            row += 1
        return -1

    def rows_of(
        self, keys: pa.Array, hashes: NDArray[np.uint64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the row of each key, or -1, as int64; see `row_of`."""
        return find_rows(self.source.keys, self.source.hashes, keys, hashes, rows, self._check_keys)

    def _check_keys(self, rows: NDArray[np.int64]) -> None:
        for block in np.unique(rows * HASH_BYTES // BLOCK_BYTES).tolist():
            self.index.check(block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, self.index.size))
        self.layouts.check_rows(self.payload, rows, self.key_numbers)

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
            message = f"The row of key {self.source.keys[number]} has a value without a Python form: {error}"
            raise UnsupportedError(message, "read it as Arrow, with get_many().") from error


def find_rows(
    stored: pa.Array,
    stored_hashes: NDArray[np.uint64],
    keys: pa.Array,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int64] | None = None,
    check: Callable[[NDArray[np.int64]], None] = lambda _: None,
) -> NDArray[np.int64]:
    """Return where each of `keys` lies among stored ones that are sorted by hash, or -1, as int64.

    Each round compares the keys that are still open with the next row of equal hash; without
    collisions there is one round.

    Args:
        stored: The keys there are.
        stored_hashes: Theirs.
        keys: Those that are looked for.
        hashes: Theirs.
        rows: For each key the first row that isn't of a lesser hash, where that is known.
        check: Called with rows before they are looked at.
    """
    found = np.full(len(keys), -1, dtype=np.int64)
    rows = np.searchsorted(stored_hashes, hashes) if rows is None else rows
    open_ = np.arange(len(keys))
    while True:
        inside = rows < len(stored_hashes)
        open_, rows = open_[inside], np.ascontiguousarray(rows[inside])
        check(rows)
        same_hash = stored_hashes[rows] == hashes[open_]
        open_, rows = open_[same_hash], rows[same_hash]
        if not len(open_):
            return found
        hit = _equal(stored.take(pa.array(rows)), keys.take(pa.array(open_)))
        found[open_[hit]] = rows[hit]
        open_, rows = open_[~hit], rows[~hit] + 1


def write_shard(
    folder: Path, name: str, rows: pa.RecordBatch, hashes: NDArray[np.uint64], fields: Fields | None = None
) -> ShardFacts:
    """Write rows that are sorted by hash, their index, and, where `fields` say how, the rows once more.

    Raises:
        StoreError: as `failures.writing` says.
    """
    payload, index = folder / f"{name}.arrow", folder / f"{name}.idx"
    with new_file(payload) as file, pa.ipc.new_file(file, rows.schema) as writer:
        writer.write_batch(rows)
    facts, sums = summed(payload)
    write_index(index, hashes, sums)
    return ShardFacts(
        rows=len(hashes),
        first_hash=int(hashes[0]) if len(hashes) else 0,
        last_hash=int(hashes[-1]) if len(hashes) else 0,
        payload=facts,
        index=summed(index)[0],
        owner=folder.name,
        row_major=None if fields is None else write_row_major(folder, name, rows, hashes, fields),
    )


def write_row_major(
    folder: Path, name: str, rows: pa.RecordBatch, hashes: NDArray[np.uint64], fields: Fields
) -> FileFacts:
    """Write rows that are sorted by hash once more, as `fields` say.

    Raises:
        UnsupportedError: rows that belong together have 4 GiB.
        StoreError: as `failures.writing` says.
    """
    path = folder / f"{name}.rows"
    with new_file(path) as file:
        write_rows(file, rows, hashes, fields)
    return summed(path)[0]


def open_shard(folder: Path, facts: ShardFacts, key: KeyColumn) -> Shard:
    """Map a shard.

    Raises:
        ObjectNotFoundError, CorruptFileError: as `map_shard`.
    """
    mapped, payload, index = map_shard(folder, facts)
    rows, hashes, row_major = mapped.rows, mapped.hashes, _row_major(folder, facts)
    with reading(f"{folder}/{facts.payload.name}"):
        layouts = Layouts(rows.columns)
        source = Source(hashes, key.keys_of(rows), layouts, index, payload)
        numbers = tuple(map(rows.schema.get_field_index, key.names))
        return Shard(rows, source, hashes.data, payload, index, layouts, numbers, row_major)


def map_shard(folder: Path, facts: ShardFacts, hint: str | None = None) -> tuple[Sorted, Blocks, Blocks]:
    """Map a shard and close its files: the mappings stay, and cost no file descriptors.

    Args:
        folder: Where they are.
        facts: Their names and sizes.
        hint: What to do where they are damaged, if it isn't what to do with a version.

    Returns:
        Its rows, which nothing was compared of but what tells where they lie; and the blocks of its payload and index.

    Raises:
        ObjectNotFoundError: a file is gone.
        CorruptFileError: a file has another size or number of rows than the facts say, or can't be decoded.
    """
    path = f"{folder}/{facts.payload.name}"
    mapped = mapped_file(folder, facts.payload)
    hashes, sums, index = open_index(folder, facts, hint)
    payload = Blocks(mapped, sums, partial(differs, path, 0, hint or _HINT))
    with reading(path):
        rows = _decoded(payload, mapped)
    if rows.num_rows != facts.rows:
        message = f"{path} has {rows.num_rows} rows; the manifest says {facts.rows}."
        raise CorruptFileError(message, "roll back to another version, or build it again.")
    expect_any(mapped.address, mapped.size)
    expect_any(index.address, index.size)
    return Sorted(hashes, rows), payload, index


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


def _row_major(folder: Path, facts: ShardFacts) -> MappedRows | None:
    if facts.row_major is None:
        return None
    content = mapped_file(folder, facts.row_major)
    return MappedRows(f"{folder}/{facts.row_major.name}", content, facts.first_hash, facts.last_hash)


def _decoded(blocks: Blocks, mapped: pa.Buffer) -> pa.RecordBatch:
    """Read the one batch of a payload; what tells where its columns lie is compared with its checksums.

    It is read as what follows the schema: to read a footer first takes four times as long, in a request that waits.
    """
    schema_end = _message_end(blocks, mapped, _MAGIC_BYTES)
    blocks.check(0, _message_end(blocks, mapped, schema_end))
    message = pa.ipc.read_message(mapped.slice(schema_end))
    if message.type == "record batch":
        return pa.ipc.read_record_batch(message, schema_at(bytes(mapped[_MAGIC_BYTES:schema_end])))
    blocks.check_all()  # an extension type over a dictionary, which comes first
    return pa.ipc.open_file(mapped).get_batch(0)


def _message_end(blocks: Blocks, mapped: pa.Buffer, start: int) -> int:
    """Where the metadata of a message ends that begins at `start`: behind 0xFFFFFFFF, its size, and as many bytes."""
    blocks.check(start, start + _PREFIX_BYTES)
    return start + _PREFIX_BYTES + int.from_bytes(mapped[start + _PREFIX_BYTES // 2 : start + _PREFIX_BYTES], "little")
