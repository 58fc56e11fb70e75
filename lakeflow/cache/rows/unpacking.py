"""Buckets become rows again: one as Python values, or many as Arrow columns, without a loop over rows."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow.cache.rows.lists import gathered, unpacked_lists
from lakeflow.cache.rows.search import COUNT_BYTES, END_BYTES, HASH_BYTES, search, views
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from lakeflow.cache.rows.fields import Field, Fields

__all__ = ["ManyRows", "OneRow", "corrupt", "row_in"]


def corrupt(error: object) -> CorruptFileError:
    """Return the error to raise for bytes that aren't a bucket."""
    message = f"A bucket of rows isn't what lakeflow wrote: {error}"
    return CorruptFileError(message, "publish another version of the cache; where it was pushed, push it again.")


def row_in(bucket: bytes, key_hash: int, after: int = -1) -> tuple[int, bytes] | None:
    """Return the next row behind the row `after` whose key has this hash, and its number; None where there is none.

    Raises:
        CorruptFileError: these bytes are no bucket.
    """
    try:
        count = int.from_bytes(bucket[:COUNT_BYTES], "little")
        ends = COUNT_BYTES + count * HASH_BYTES
        sought = key_hash.to_bytes(HASH_BYTES, "little")
        at = COUNT_BYTES + (after + 1) * HASH_BYTES
        while True:
            at = bucket.find(sought, at, ends)
            if at < 0:
                return None
            row, aside = divmod(at - COUNT_BYTES, HASH_BYTES)
            if not aside:
                break
            at += 1  # the end of one hash and the beginning of the next
        start = 0 if not row else struct.unpack_from("<I", bucket, ends + (row - 1) * END_BYTES)[0]
        end = struct.unpack_from("<I", bucket, ends + row * END_BYTES)[0]
        rows = ends + count * END_BYTES
        return row, bucket[rows + start : rows + end]
    except struct.error as error:
        raise corrupt(error) from error


class OneRow:
    """Reads single rows of one schema.

    Args:
        fields: Of the schema.
        names: Which columns are wanted; all where None. Values of others need not have a Python form.
    """

    def __init__(self, fields: Fields, names: Collection[str] | None = None) -> None:
        inside = [field for field in fields.all if field.width]
        wanted = fields.schema.names if names is None else names
        self._struct = struct.Struct(f"<{fields.null_bytes}s" + "".join(field.letter for field in inside))
        self._columns = [
            (field, field.name if field.name in wanted else None, field.outside, field.to_python) for field in inside
        ]
        self._none = dict.fromkeys(name for name in fields.schema.names if name in wanted)

    def values(self, row: bytes) -> dict[str, Any]:
        """Return the columns of a row that are wanted, as `Cache.get` does, in the schema's order.

        Raises:
            CorruptFileError: these bytes are no row of this schema.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
        """
        try:
            nulls, *values = self._struct.unpack_from(row)
        except struct.error as error:
            raise corrupt(error) from error
        result: dict[str, Any] = self._none.copy()
        null_bits = int.from_bytes(nulls, "little")
        at = self._struct.size
        for (field, name, outside, to_python), value in zip(self._columns, values, strict=True):
            if outside:
                start, at = at, at + value
                value = row[start:at]  # noqa: PLW2901  (its length became its bytes)
            if name is not None and not null_bits >> field.place & 1:
                result[name] = value if to_python is None else _converted(field, to_python, value)
        if at != len(row):
            raise corrupt(f"a row of {len(row)} bytes says that it has {at}.")
        return result


def _converted(field: Field, to_python: Any, value: bytes) -> Any:
    try:
        return to_python(value)
    except UnicodeDecodeError as error:
        raise corrupt(error) from error
    except (ValueError, OverflowError) as error:
        message = f"A row has a value without a Python form in column {field.name!r}: {error}"
        raise UnsupportedError(message, "read it as Arrow, with get_many().") from error


@dataclass(frozen=True, slots=True)
class ManyRows:
    """Some rows of some buckets; a row is known by its number."""

    fields: Fields
    data: NDArray[np.uint8]
    """The buckets behind each other, and some bytes more."""
    hashes: NDArray[np.uint64]
    """Of the rows."""
    starts: NDArray[np.int64]
    """Where each row begins in `data`."""
    ends: NDArray[np.int64]
    """Where it ends."""
    firsts: NDArray[np.int64]
    """For each hash that was looked for, the first row that may have it."""

    @classmethod
    def of(
        cls,
        fields: Fields,
        buckets: Sequence[bytes | memoryview | None],
        hashes: NDArray[np.uint64],
        where: NDArray[np.int64],
    ) -> ManyRows:
        """Look into buckets for the rows that have one of some hashes.

        Args:
            fields: Of their version.
            buckets: In any order; None, or no bytes, for one without rows.
            hashes: In any order.
            where: For each of them the place of its bucket among these; less than 0 where there is none.

        Raises:
            CorruptFileError: one isn't a bucket.
        """
        present = [bucket or b"" for bucket in buckets]
        slack = bytes(max(fields.records.itemsize, HASH_BYTES))  # a view of the last byte as the first of a record
        data = np.frombuffer(b"".join([*present, slack]), np.uint8)
        try:
            places = search(data, np.fromiter(map(len, present), np.int64, len(present)), hashes, where)
        except (IndexError, ValueError) as error:
            raise corrupt(error) from error
        return cls(fields, data, places.hashes, places.starts, places.ends, places.firsts)

    def columns(self, names: Sequence[str], rows: NDArray[np.int64]) -> dict[str, pa.Array]:
        """Return columns of some rows.

        Args:
            names: Which columns.
            rows: Their numbers; below 0 for a row of nulls.

        Raises:
            CorruptFileError: a value isn't one of its column.
        """
        if not len(self.starts):
            return {field.name: pa.nulls(len(rows), field.type) for field in self.fields.all if field.name in names}
        missing = rows < 0
        some = np.where(missing, 0, rows)  # what stands in place of a row that is missing is hidden by its nulls
        result: dict[str, pa.Array] = {}
        try:
            starts = self.starts[some]
            whole = f"V{self.fields.records.itemsize}"  # numpy copies records of fields field by field
            records = views(self.data, whole)[starts].view(self.fields.records)
            ats = starts + self.fields.records.itemsize
            for field in self.fields.all:
                lengths = records[str(field.place)].astype(np.int64) if field.outside else None
                if field.name in names:
                    nulls = missing | (records["nulls"][:, field.place // 8] >> (field.place % 8) & 1).astype(bool)
                    result[field.name] = self._column(field, nulls, records, ats, lengths)
                if lengths is not None:
                    ats = ats + lengths
            if (ats != self.ends[some]).any():
                raise corrupt("a row is shorter or longer than its values.")
        except (IndexError, ValueError, pa.ArrowException) as error:
            raise corrupt(error) from error
        return result

    def _column(
        self,
        field: Field,
        nulls: NDArray[np.bool_],
        records: NDArray[Any],
        ats: NDArray[np.int64],
        lengths: NDArray[np.int64] | None,
    ) -> pa.Array:
        if field.kind == "none":
            return pa.nulls(len(nulls))
        if lengths is not None:
            return self._outside(field, nulls, ats, lengths)
        valid = _bits(~nulls) if nulls.any() else None
        values = np.ascontiguousarray(records[str(field.place)])
        if field.kind == "bool":
            values = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(field.type, len(nulls), [valid, pa.py_buffer(values.view(np.uint8))])

    def _outside(self, field: Field, nulls: NDArray[np.bool_], ats: NDArray[np.int64], sizes: Any) -> pa.Array:
        """Gather bytes that lie here and there."""
        lengths = np.where(nulls, 0, sizes)
        if lengths.max(initial=0) > self.data.size:
            raise ValueError("a value is longer than all there is.")
        offsets, data = np.concatenate([[0], np.cumsum(lengths)]), gathered(self.data, ats, lengths)
        if field.kind == "list":
            return unpacked_lists(field.type, data, offsets, nulls)
        buffers = [_bits(~nulls) if nulls.any() else None, pa.py_buffer(offsets), pa.py_buffer(data)]
        values = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ats), buffers)
        if field.codec is None:
            return values.cast(field.type)
        return field.codec.columns(values.to_pylist())[field.name]


def _bits(flags: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
