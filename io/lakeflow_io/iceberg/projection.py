"""A data file's columns -> the table's: which to fetch, and how to shape and filter what comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyiceberg.exceptions import ResolveError

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.folder.match import columns_by_name
from lakeflow_io.iceberg.internals import arrow_filter, arrow_schema, file_schema
from lakeflow_io.iceberg.plan import select_fields
from lakeflow_io.iceberg.predicate import referenced_columns
from lakeflow_io.iceberg.reshape import missing, reshape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType, NestedField

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["FileProjection", "OutputShape"]


@dataclass(frozen=True, slots=True)
class OutputShape:
    """What every batch of a scan looks like, and the exact filter it passed."""

    schema: pa.Schema
    read_schema: pa.Schema
    """`schema` and the columns that only the filter needs."""
    names: tuple[str, ...]
    """All columns that are read."""
    condition: Any
    """A `pyarrow.compute.Expression`, or None."""
    filter_columns: tuple[str, ...]
    """Columns that `condition` looks at."""

    @classmethod
    def of(cls, spec: ReadSpec) -> OutputShape:
        """Work out the shape once a scan."""
        condition, named = None, tuple[str, ...]()
        read_schema = arrow_schema(spec.filter_columns)
        if spec.filter is not None:
            from pyiceberg.expressions.visitors import bind

            condition = arrow_filter(bind(spec.filter_columns, spec.filter, case_sensitive=True), spec.filter_columns)
            looked_at = select_fields(spec.filter_columns, referenced_columns(spec.filter))
            named = tuple(field.name for field in looked_at.fields)
        return cls(arrow_schema(spec.columns), read_schema, tuple(read_schema.names), condition, named)

    def passing(self, data: pa.Table) -> pa.Array | None:
        """Row numbers that pass the filter, ascending; None where all do.

        Args:
            data: `filter_columns`, shaped.
        """
        number = "".join(data.column_names) + "row"  # longer than any name that is there
        numbered = data.append_column(number, pa.array(np.arange(data.num_rows, dtype=np.int32)))
        rows = numbered.filter(self.condition)[number].combine_chunks()
        return None if len(rows) == data.num_rows else rows


@dataclass(frozen=True, slots=True)
class _Way:
    """How one requested column is made."""

    asked: NestedField
    source: str | None
    """The file's name of it; None where it isn't there."""
    have: IcebergType | None
    """The file's type, where that is another one than the table's."""
    wanted: pa.DataType


@dataclass(frozen=True, slots=True)
class FileProjection:
    """How the columns of files of one schema become the table's."""

    present: Schema
    """The file's columns that are requested."""
    sources: dict[str, str]
    """The file's name of each requested column that is there, by the table's name."""
    target: pa.Schema
    _fields: dict[str, NestedField] = field(default_factory=dict, compare=False)
    _fetched: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict, compare=False)
    _ways: dict[str, _Way] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, spec: ReadSpec, piece: Piece, schema: pa.Schema, target: pa.Schema) -> FileProjection:
        """Match a file's columns with the requested ones.

        Args:
            spec: What is read.
            piece: Of which file.
            schema: The file's, with field ids as in the metadata of Parquet's.
            target: The requested columns.

        Raises:
            UnsupportedError: the file carries no field ids and the table has no name mapping.
            SchemaError: columns are matched by name, and one has a type that doesn't fit.
        """
        from pyiceberg.schema import Schema

        by_name = spec.match == "name"
        in_file = (columns_by_name if by_name else _columns_by_id)(spec, piece, schema)
        by_id = {field.field_id: field for field in in_file.fields}
        there = [field for field in spec.filter_columns.fields if field.field_id in by_id]
        return cls(
            present=Schema(*{field.field_id: by_id[field.field_id] for field in there}.values()),
            sources={field.name: by_id[field.field_id].name for field in there},
            target=target,
            _fields={field.name: field for field in spec.filter_columns.fields},
        )

    def refuse_other_zones(self, path: str) -> None:
        """Refuse moments that the file has with a zone and the table without one, or the other way round.

        In Parquet both are numbers of one kind, and writers have confused them since before there was a difference.
        In ORC one of them is a time on the clock of whoever wrote the file.

        Raises:
            UnsupportedError: there is such a column; names it and the file.
        """
        from pyiceberg.schema import Schema

        wanted = Schema(*self._fields.values())
        for field_id in sorted(self.present.field_ids & wanted.field_ids):
            have, want = str(self.present.find_type(field_id)), str(wanted.find_type(field_id))
            if {have, want} == {"timestamp", "timestamptz"}:
                raise UnsupportedError(
                    f"{path}: column {wanted.find_column_name(field_id)!r} has {have} where the table has {want}.",
                    "rewrite the file with the engine that wrote it.",
                )

    def fetched(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The file's columns that the table's columns `names` are made of; worked out once."""
        found = self._fetched.get(names)
        if found is None:
            there = dict.fromkeys(self.sources[name] for name in names if name in self.sources)
            found = self._fetched[names] = tuple(there)
        return found

    def shape(
        self,
        uri: str,
        names: Sequence[str],
        decoded: Mapping[str, pa.ChunkedArray],
        rows: int,
        constants: Mapping[int, Any],
    ) -> dict[str, pa.ChunkedArray]:
        """The table's columns `names` out of what was decoded of one row group.

        Args:
            uri: The file, for errors.
            names: Columns of the table.
            decoded: Columns of the file, by the file's names.
            rows: In the row group.
            constants: Values, by field id, of columns that the file leaves to its partition.

        Raises:
            CorruptFileError: the file's types can't become the table's.
        """
        try:
            columns = [self._column(self._way(name), decoded, rows, constants) for name in names]
        except (pa.ArrowException, ResolveError, ValueError, TypeError) as error:
            raise CorruptFileError(
                f"{uri}: its columns do not fit the table's schema: {error}",
                "the file was written with another schema; rewrite it or roll the table back.",
            ) from error
        return dict(zip(names, columns, strict=True))

    def _way(self, name: str) -> _Way:
        """How a requested column is made; worked out once, not for every row group of every file."""
        found = self._ways.get(name)
        if found is None:
            asked, source, have = self._fields[name], self.sources.get(name), None
            if source is not None:
                present = self.present.find_field(asked.field_id).field_type
                have = present if present != asked.field_type else None
            found = self._ways[name] = _Way(asked, source, have, self.target.field(name).type)
        return found

    def _column(
        self, way: _Way, decoded: Mapping[str, pa.ChunkedArray], rows: int, constants: Mapping[int, Any]
    ) -> pa.ChunkedArray:
        """One requested column: as it is where the file agrees with the table, else projected."""
        if way.source is None:
            return pa.chunked_array([_missing(way.asked, rows, constants, way.wanted)])
        found, want = decoded[way.source], way.asked.field_type
        if way.have is not None:
            found = pa.chunked_array([reshape(each, way.have, want, way.wanted) for each in found.chunks], way.wanted)
        return found if found.type == way.wanted else found.cast(way.wanted)


def _missing(field: NestedField, rows: int, constants: Mapping[int, Any], wanted: pa.DataType) -> pa.Array:
    """A column that the file doesn't have: its partition's value, its default, or nulls."""
    if constants.get(field.field_id) is None:
        return missing(field, rows, wanted)
    storage = wanted.storage_type if isinstance(wanted, pa.BaseExtensionType) else wanted
    values = pa.repeat(pa.scalar(constants[field.field_id], storage), rows)
    return pa.ExtensionArray.from_storage(wanted, values) if storage != wanted else values


def _columns_by_id(spec: ReadSpec, piece: Piece, schema: pa.Schema) -> Schema:
    try:
        return file_schema(schema, spec.name_mapping, spec.format_version)
    except (ValueError, TypeError) as error:
        raise UnsupportedError(
            f"{spec.source}: the columns of {piece.path} can't be matched with the table's: {error}",
            "set the table property schema.name-mapping.default, or rewrite the file.",
        ) from error
