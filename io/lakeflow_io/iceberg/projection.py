"""A data file's columns -> the table's: which to fetch, and how to shape and filter what comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.exceptions import ResolveError

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.folder.match import columns_by_name
from lakeflow_io.iceberg.internals import arrow_filter, arrow_schema, file_schema, project

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.parquet.footer import Footer

__all__ = ["FileProjection", "OutputShape"]


@dataclass(frozen=True, slots=True)
class OutputShape:
    """What every batch of a scan looks like, and the exact filter it passed."""

    schema: pa.Schema
    read_schema: pa.Schema
    condition: Any
    """A `pyarrow.compute.Expression`, or None."""

    @classmethod
    def of(cls, spec: ReadSpec) -> OutputShape:
        """Work out the shape once a scan."""
        condition = None
        if spec.filter is not None:
            from pyiceberg.expressions.visitors import bind

            condition = arrow_filter(bind(spec.filter_columns, spec.filter, case_sensitive=True), spec.filter_columns)
        return cls(arrow_schema(spec.columns), arrow_schema(spec.filter_columns), condition)

    def finish(self, data: pa.Table) -> pa.Table:
        """Filter, then drop the columns that only the filter needed."""
        if self.condition is not None:
            data = data.filter(self.condition)
        return data.select(self.schema.names)


@dataclass(frozen=True, slots=True)
class FileProjection:
    """How one file's columns become the table's."""

    uri: str
    requested: Schema
    present: Schema
    """The file's columns that are requested."""
    columns: tuple[str, ...]
    """Their names in the file: what has to be fetched."""
    constants: dict[int, Any]
    target: pa.Schema

    @classmethod
    def of(cls, spec: ReadSpec, piece: Piece, footer: Footer, target: pa.Schema) -> FileProjection:
        """Match a file's columns with the requested ones.

        Raises:
            UnsupportedError: the file carries no field ids and the table has no name mapping.
            SchemaError: columns are matched by name, and one has a type that doesn't fit.
        """
        from pyiceberg.schema import Schema

        in_file = columns_by_name(spec, piece, footer) if spec.match == "name" else _columns_by_id(spec, piece, footer)
        wanted = {field.field_id for field in spec.filter_columns.fields}
        fields = [field for field in in_file.fields if field.field_id in wanted]
        missing = wanted - {field.field_id for field in fields}
        return cls(
            uri=piece.path,
            requested=spec.filter_columns,
            present=Schema(*fields),
            columns=tuple(field.name for field in fields),
            constants={field_id: value for field_id, value in piece.constants if field_id in missing},
            target=target,
        )

    def apply(self, data: pa.Table) -> pa.Table:
        """Shape a decoded row group.

        Raises:
            CorruptFileError: the file's types can't become the table's.
        """
        try:
            shaped = [self._shape(batch) for batch in data.to_batches()]
            return pa.Table.from_batches(shaped, self.target)
        except (pa.ArrowException, ResolveError, ValueError, TypeError) as error:
            raise CorruptFileError(
                f"{self.uri}: its columns do not fit the table's schema: {error}",
                "the file was written with another schema; rewrite it or roll the table back.",
            ) from error

    def _shape(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [self._column(field, batch) for field in self.requested.fields]
        cast = [column.cast(wanted.type) for column, wanted in zip(columns, self.target, strict=True)]
        return pa.record_batch(cast, schema=self.target)

    def _column(self, field: NestedField, batch: pa.RecordBatch) -> pa.Array:
        """One requested column: as it is where the file agrees with the table, else projected."""
        from pyiceberg.schema import Schema

        there = next((each for each in self.present.fields if each.field_id == field.field_id), None)
        if there is not None and there.field_type == field.field_type:
            return batch.column(there.name)
        if there is not None and _has_null_list(batch.column(there.name)):
            # pyiceberg's projection turns a null list into an empty one.
            raise UnsupportedError(
                f"{self.uri}: column {field.name!r} holds null lists and its type has changed since it was written.",
                "rewrite the file with the engine that wrote it (rewrite_data_files).",
            )
        present = Schema(there) if there is not None else Schema()
        names = [there.name] if there is not None else []
        rows = batch.select(names) if names else pa.RecordBatch.from_struct_array(_empty_structs(batch.num_rows))
        return project(Schema(field), present, rows, self.constants).column(0)


def _columns_by_id(spec: ReadSpec, piece: Piece, footer: Footer) -> Schema:
    try:
        return file_schema(footer.metadata.schema.to_arrow_schema(), spec.name_mapping, spec.format_version)
    except (ValueError, TypeError) as error:
        raise UnsupportedError(
            f"{spec.source}: the columns of {piece.path} can't be matched with the table's: {error}",
            "set the table property schema.name-mapping.default, or rewrite the file.",
        ) from error


def _empty_structs(rows: int) -> pa.StructArray:
    # A batch without columns that still knows how many rows it has.
    return pa.array([{}] * rows, pa.struct([]))


def _has_null_list(column: pa.Array) -> bool:
    kind = column.type
    if pa.types.is_struct(kind):
        return any(_has_null_list(column.field(i)) for i in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return column.null_count > 0 or (not pa.types.is_map(kind) and _has_null_list(column.values))
    return False
