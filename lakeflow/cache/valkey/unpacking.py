"""Buckets become rows again: one as Python values, or many as Arrow columns, without a loop over rows."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow.cache.valkey.lists import gathered, unpacked_lists
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lakeflow.cache.valkey.fields import Field, Fields

__all__ = ["ManyRows", "OneRow", "corrupt", "row_in"]

_COUNT_BYTES = 4
_HASH_BYTES = 8
_END_BYTES = 4
_EMPTY = b"\0\0\0\0"


def corrupt(error: object) -> CorruptFileError:
    """Return the error to raise for a value that isn't a bucket."""
    message = f"A value in the server isn't what lakeflow wrote there: {error}"
    return CorruptFileError(message, "publish another version of the cache and push it.")


def row_in(bucket: bytes, key_hash: int, after: int = -1) -> tuple[int, bytes] | None:
    """Return the next row behind the row `after` whose key has this hash, and its number; None where there is none.

    Raises:
        CorruptFileError: these bytes are no bucket.
    """
    try:
        count = int.from_bytes(bucket[:_COUNT_BYTES], "little")
        ends = _COUNT_BYTES + count * _HASH_BYTES
        sought = key_hash.to_bytes(_HASH_BYTES, "little")
        at = _COUNT_BYTES + (after + 1) * _HASH_BYTES
        while True:
            at = bucket.find(sought, at, ends)
            if at < 0:
                return None
            row, aside = divmod(at - _COUNT_BYTES, _HASH_BYTES)
            if not aside:
                break
            at += 1  # the end of one hash and the beginning of the next
        start = 0 if not row else struct.unpack_from("<I", bucket, ends + (row - 1) * _END_BYTES)[0]
        end = struct.unpack_from("<I", bucket, ends + row * _END_BYTES)[0]
        rows = ends + count * _END_BYTES
        return row, bucket[rows + start : rows + end]
    except struct.error as error:
        raise corrupt(error) from error


class OneRow:
    """Reads single rows of one schema."""

    def __init__(self, fields: Fields) -> None:
        inside = [field for field in fields.all if field.width]
        self._struct = struct.Struct(f"<{fields.null_bytes}s" + "".join(field.letter for field in inside))
        self._columns = [(field, field.name, field.outside, field.to_python) for field in inside]
        self._none = dict.fromkeys(fields.schema.names)

    def values(self, row: bytes) -> dict[str, Any]:
        """Return a row as `Cache.get` does.

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
            if not null_bits >> field.place & 1:
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
    """All rows of some buckets; a row is known by its number."""

    fields: Fields
    data: NDArray[np.uint8]
    """The buckets behind each other, and some bytes more."""
    hashes: NDArray[np.uint64]
    """Of the rows; ascending."""
    starts: NDArray[np.int64]
    """Where each row begins in `data`."""
    ends: NDArray[np.int64]
    """Where it ends."""

    @classmethod
    def of(cls, fields: Fields, buckets: Sequence[bytes | None]) -> ManyRows:
        """Look at buckets.

        Args:
            fields: Of their version.
            buckets: Different ones in ascending order; None for one without rows.

        Raises:
            CorruptFileError: one isn't a bucket.
        """
        present = [bucket or _EMPTY for bucket in buckets]
        slack = bytes(max(fields.records.itemsize, _HASH_BYTES))  # a view of the last byte as the first of a record
        data = np.frombuffer(b"".join([*present, slack]), np.uint8)
        sizes = np.fromiter(map(len, present), np.int64, len(present))
        firsts = np.cumsum(sizes) - sizes
        try:
            counts = _views(data, "<u4")[firsts].astype(np.int64)
            if (counts * (_HASH_BYTES + _END_BYTES) + _COUNT_BYTES > sizes).any():
                raise corrupt("it is shorter than it says.")
            before = np.cumsum(counts) - counts
            inside = np.arange(counts.sum()) - np.repeat(before, counts)
            bases = np.repeat(firsts + _COUNT_BYTES, counts)
            heads = np.repeat(counts, counts)
            hashes = _views(data, "<u8")[bases + inside * _HASH_BYTES]
            ends = _views(data, "<u4")[bases + heads * _HASH_BYTES + inside * _END_BYTES].astype(np.int64)
            starts = np.where(inside == 0, 0, np.roll(ends, 1))
            rows = bases + heads * (_HASH_BYTES + _END_BYTES)
            if (starts > ends).any() or (rows + ends > np.repeat(firsts + sizes, counts)).any():
                raise corrupt("its rows end elsewhere than it says.")
        except (IndexError, ValueError, MemoryError) as error:
            raise corrupt(error) from error
        return cls(fields, data, hashes, rows + starts, rows + ends)

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
            records = _views(self.data, whole)[starts].view(self.fields.records)
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
        except (IndexError, ValueError, MemoryError, pa.ArrowException) as error:
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


def _views(data: NDArray[np.uint8], dtype: Any) -> NDArray[Any]:
    """Return what stands at every byte, whatever its alignment, as one type."""
    kind = np.dtype(dtype)
    return np.ndarray((max(data.size - kind.itemsize + 1, 0),), kind, data, strides=(1,))
