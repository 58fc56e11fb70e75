"""A data file's columns -> the table's: which to fetch, and how to shape and filter what comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.exceptions import ResolveError

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.iceberg.internals import arrow_filter, arrow_schema, file_schema, project

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

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
    """How one file's columns become the table's, by field id."""

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
        """
        from pyiceberg.schema import Schema

        try:
            in_file = file_schema(footer.metadata.schema.to_arrow_schema(), spec.name_mapping, spec.format_version)
        except (ValueError, TypeError) as error:
            raise UnsupportedError(
                f"{spec.source}: the columns of {piece.path} can't be matched with the table's: {error}",
                "set the table property schema.name-mapping.default, or rewrite the file.",
            ) from error
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
            if not self.columns:
                shaped = [self._absent(data.num_rows)]
            else:
                batches = data.combine_chunks().to_batches()
                shaped = [project(self.requested, self.present, batch, self.constants) for batch in batches]
            return pa.Table.from_batches([batch.cast(self.target) for batch in shaped], self.target)
        except (pa.ArrowException, ResolveError, ValueError, TypeError) as error:
            raise CorruptFileError(
                f"{self.uri}: its columns do not fit the table's schema: {error}",
                "the file was written with another schema; rewrite it or roll the table back.",
            ) from error

    def _absent(self, rows: int) -> pa.RecordBatch:
        # Nothing of the file is wanted, so nothing was fetched: its row count and defaults still are.
        return project(
            self.requested,
            self.present,
            pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([]))),
            self.constants,
        )
