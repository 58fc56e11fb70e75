"""A Parquet file and a filter: what statistics say of its row groups, held against the exact filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table.name_mapping import create_mapping_from_schema

from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.plan import Piece, ReadSpec
from lakeflow_io.iceberg.projection import FileProjection, OutputShape
from lakeflow_io.iceberg.row_groups import RowGroupFilter
from lakeflow_io.iceberg.verdict import Match
from lakeflow_io.parquet.footer import Footer
from lakeflow_io.parquet.layout import file_layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.schema import Schema


@dataclass
class FilteredFile:
    """One Parquet file, and a filter on it."""

    spec: ReadSpec
    metadata: Any
    encoded: bytes
    constants: dict[int, Any]

    @classmethod
    def of(cls, encoded: bytes, schema: Schema, where: Any, **options: Any) -> FilteredFile:
        """`schema` is the table's."""
        mapping = create_mapping_from_schema(schema) if options.pop("map_names", False) else None
        spec = ReadSpec("t", 1, schema, schema, where, mapping, 2, {})
        return cls(spec, pq.read_metadata(pa.BufferReader(encoded)), encoded, options.pop("constants", {}))

    def passing(self, shape: OutputShape) -> list[tuple[int, int]]:
        """Rows that the exact filter lets through, and all rows, by row group."""
        projection = self._projection(shape)
        file = pq.ParquetFile(pa.BufferReader(self.encoded))
        passing = []
        for index in range(file.num_row_groups):
            rows = file.metadata.row_group(index).num_rows
            columns = projection.fetched(shape.names)
            raw = file.read_row_group(index, columns=list(columns))
            decoded = {name: raw[name] for name in columns}
            shaped = projection.shape("f", shape.filter_columns, decoded, rows, self.constants)
            found = shape.passing(pa.table(shaped))
            passing.append((rows if found is None else len(found), rows))
        return passing

    def matches(self, shape: OutputShape) -> list[Match]:
        """What statistics say."""
        projection = self._projection(shape)
        made = RowGroupFilter.of(self.spec)
        assert made is not None
        groups = made.file(projection.present, self.metadata, self.constants)
        return [groups.match(i) for i in range(self.metadata.num_row_groups)]

    def _projection(self, shape: OutputShape) -> FileProjection:
        size = len(self.encoded)
        piece = Piece("f", size, 0, size, 1, "", "", (), tuple(self.constants.items()))
        footer = Footer("f", size, self.metadata, b"", None)
        return FileProjection.of(self.spec, piece, file_layout(footer).schema, shape.read_schema)

    def check(self) -> list[Match]:
        """Hold the promise: what is certain is true."""
        shape = OutputShape.of(self.spec)
        found = self.matches(shape)
        for match, (passed, rows) in zip(found, self.passing(shape), strict=True):
            assert match is not Match.NONE or passed == 0
            assert match is not Match.ALL or passed == rows
        return found


def written(data: pa.Table, schema: Schema, **options: Any) -> bytes:
    """A file by pyarrow, with field ids."""
    sink = pa.BufferOutputStream()
    target = arrow_schema(schema, field_ids=True)
    pq.write_table(pa.table([data[field.name].cast(field.type) for field in target], schema=target), sink, **options)
    return bytes(sink.getvalue())


@pytest.fixture(scope="session")
def write_file() -> Callable[..., bytes]:
    """Make a file of a table's columns with pyarrow: data, schema, options of the writer."""
    return written


@pytest.fixture(scope="session")
def check_pruning() -> Callable[..., list[Match]]:
    """Hold the promise for a file, the table's schema and a filter; returns what statistics say."""
    return lambda *arguments, **options: FilteredFile.of(*arguments, **options).check()
