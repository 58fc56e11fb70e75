"""A scan's filter and a file's footer -> the row groups that can hold a row, judged by statistics alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow_io.iceberg.comparable import bounds_decoder, comparable
from lakeflow_io.parquet.statistics import ALL_NULL, UNKNOWN, Bounds, chunk_bounds, stored_as

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType, NestedField

    from lakeflow_io.iceberg.plan import ReadSpec
    from lakeflow_io.iceberg.verdict import Judge, Match

# Layouts remembered: a schema that evolves has a handful, and each keeps a footer alive.
_LAYOUTS = 16

__all__ = ["FileRowGroups", "RowGroupFilter"]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A column of the filter that is in the file."""

    index: int
    decode: Callable[[Any], Any] | None
    required: bool


@dataclass(frozen=True, slots=True)
class RowGroupFilter:
    """One scan's filter; may be shared between threads."""

    table: Schema
    judge: Judge
    columns: dict[int, IcebergType]
    """Type by field id of each column that the filter looks at."""
    _layouts: list[tuple[Any, str | None, dict[int, _Leaf | Bounds]]] = field(default_factory=list)
    """Parquet schema, writer, and where the columns are in such files: a scan has few, its files are many."""

    @classmethod
    def of(cls, spec: ReadSpec) -> RowGroupFilter | None:
        """Compile a scan's filter; None where it has none."""
        if spec.filter is None:
            return None
        from pyiceberg.expressions.visitors import bind

        from lakeflow_io.iceberg.verdict import judge_of

        return cls(spec.filter_columns, *judge_of(bind(spec.filter_columns, spec.filter, case_sensitive=True)))

    def file(self, present: Schema, metadata: Any, constants: Mapping[int, Any]) -> FileRowGroups:
        """The row groups of one file.

        Args:
            present: The file's columns that the scan reads, with the table's field ids.
            metadata: The file's `pyarrow.parquet.FileMetaData`.
            constants: Values by field id of columns that the file leaves to its partition.
        """
        columns = self._layout(present, metadata)
        filled = {
            field_id: _constant(value, self.columns[field_id])
            for field_id, value in constants.items()
            if value is not None and field_id in columns and not isinstance(columns[field_id], _Leaf)
        }
        return FileRowGroups(metadata, self.judge, columns | filled if filled else columns)

    def _layout(self, present: Schema, metadata: Any) -> dict[int, _Leaf | Bounds]:
        schema, writer = metadata.schema, metadata.created_by
        for known, by, columns in self._layouts:
            if by == writer and known.equals(schema):
                return columns
        leaves: dict[str, list[int]] = {}
        for index in range(len(schema)):
            leaves.setdefault(schema.column(index).path, []).append(index)
        columns = {}
        for field_id, kind in self.columns.items():
            name = present.find_column_name(field_id)
            if name is None:
                columns[field_id] = _missing(self.table, field_id)
                continue
            # A dot in a name can make two paths the same.
            found = leaves.get(name, [])
            columns[field_id] = (
                _present(schema.column(found[0]), found[0], kind, writer) if len(found) == 1 else UNKNOWN
            )
        self._layouts.append((schema, writer, columns))
        return columns


@dataclass(frozen=True, slots=True)
class FileRowGroups:
    """One file's row groups under a filter."""

    metadata: Any
    judge: Judge
    columns: Mapping[int, _Leaf | Bounds]

    def match(self, index: int) -> Match:
        """How much of row group `index` passes: NONE and ALL are certain, SOME is not.

        NONE trusts the bounds and the count of nulls that the file's writer left, ALL as well.
        """
        return self.judge(_GroupBounds(self.metadata.row_group(index), self.columns))


class _GroupBounds(dict[int, Bounds]):
    """Bounds by field id in one row group, read when the filter asks for them."""

    __slots__ = ("_columns", "_group")

    def __init__(self, group: Any, columns: Mapping[int, _Leaf | Bounds]) -> None:
        self._group = group
        self._columns = columns

    def __missing__(self, field_id: int) -> Bounds:
        column = self._columns[field_id]
        if isinstance(column, _Leaf):
            chunk = self._group.column(column.index)
            column = chunk_bounds(chunk, self._group.num_rows, column.decode, required=column.required)
        self[field_id] = column
        return column


def _present(column: Any, index: int, kind: IcebergType, writer: str | None) -> _Leaf | Bounds:
    stored = stored_as(column, writer)
    if stored is None:
        return UNKNOWN
    fits, decode = bounds_decoder(kind, stored)
    return _Leaf(index, decode, column.max_definition_level == 0) if fits else UNKNOWN


def _missing(table: Schema, field_id: int) -> Bounds:
    """What projection puts in a column that a file lacks, its partition aside."""
    wanted: NestedField = table.find_field(field_id)
    top = any(each.field_id == field_id for each in table.fields)
    if wanted.initial_default is not None:
        # Inside a struct that is null, a field has no default.
        return _constant(wanted.initial_default, wanted.field_type) if top else UNKNOWN
    if wanted.required:
        return UNKNOWN  # reading says what is wrong
    defaults = any(table.find_field(each).initial_default is not None for each in table.field_ids)
    return UNKNOWN if defaults and not top else ALL_NULL


def _constant(value: Any, kind: IcebergType) -> Bounds:
    plain = comparable(value, kind)
    return Bounds(plain, plain, nulls=False, values=True)
