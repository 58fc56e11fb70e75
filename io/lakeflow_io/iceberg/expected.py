"""What a manifest tells of where a file's columns lie, before its footer has been read: a guess, to be verified.

Writers put column chunks one behind the other, in the order of the schema. So in a file of one row group
their sizes, which manifests have, say where each begins; and where all columns are read, the beginnings of
row groups are enough.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from lakeflow_io.parquet.ranges import ByteRange, coalesce

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["child_fields", "expected_columns", "expected_ranges", "leaf_ids"]

# Pieces are pickled by the thousand.
_MOST_CHUNKS = 64
# Small enough that what is expected comes over several connections.
_REQUEST_BYTES = 2 * 1024 * 1024


def leaf_ids(fields: Sequence[NestedField]) -> Iterator[int]:
    """Field ids of the leaf columns beneath `fields`, in the order in which files have them."""
    for field in fields:
        children = child_fields(field.field_type)
        if children:
            yield from leaf_ids(children)
        else:
            yield field.field_id


def child_fields(kind: Any) -> Sequence[NestedField]:
    """The fields directly within a type; none in a primitive one."""
    from pyiceberg.types import ListType, MapType, StructType

    if isinstance(kind, StructType):
        return kind.fields
    if isinstance(kind, ListType):
        return [kind.element_field]
    return [kind.key_field, kind.value_field] if isinstance(kind, MapType) else []


def expected_columns(table: Schema, spec: ReadSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which column sizes of a manifest tell where the columns lie that are read.

    Returns:
        Field ids of all leaf columns, as files have them, and of those that are read; nothing where row groups
        are read whole, or too much of them to be told column by column.
    """
    order, wanted = tuple(leaf_ids(table.fields)), set(leaf_ids(spec.filter_columns.fields))
    if not len(wanted) < spec.width or len(wanted) > _MOST_CHUNKS:
        return (), ()
    return order, tuple(each for each in order if each in wanted)


def expected_ranges(spec: ReadSpec, piece: Piece, end: int) -> list[ByteRange]:
    """What may be asked for together with a file's footer: a row group or so, as far as it is read.

    Args:
        spec: What is read. With a filter, statistics may leave any row group out.
        piece: Of which file.
        end: Where what comes with the footer begins.

    Returns:
        Ranges of the first row group; with a filter, of those in which its rows are likely to be.
    """
    if not piece.splits or not piece.start <= piece.splits[0] < piece.end:
        return []
    wanted = set(leaf_ids(spec.filter_columns.fields))
    if len(wanted) >= spec.width > 0:
        chunks = _whole_groups(piece, end, filtered=spec.filter is not None)
    elif spec.filter is not None:
        return []
    else:
        chunks = [(start, start + length) for field_id, start, length in piece.chunks if field_id in wanted]
    ranges = [ByteRange(start, min(stop, end) - start) for start, stop in chunks if start < min(stop, end)]
    return coalesce(ranges, _REQUEST_BYTES)


def _whole_groups(piece: Piece, end: int, *, filtered: bool) -> list[tuple[int, int]]:
    """Where the row groups begin and end that are expected to be read."""
    if not filtered:
        first = last = 0
    elif piece.likely is None:
        return []
    else:
        places = [share * piece.file_size for share in piece.likely]
        if places[1] < piece.splits[0] or places[0] >= piece.end:  # in another piece of the file
            return []
        first, last = (max(0, bisect_right(piece.splits, place) - 1) for place in places)
    starts = [*piece.splits, min(piece.end, end)]
    return [(starts[first], starts[last + 1])]
