"""Pieces -> open files -> units to read: columns matched, row groups judged by statistics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.projection import FileProjection
from lakeflow_io.iceberg.row_groups import RowGroupFilter
from lakeflow_io.parquet.layout import FileLayout, Layouts
from lakeflow_io.reader.located import located
from lakeflow_io.reader.unit import OpenFile, Unit, fixed_width, pack, wanted_row_groups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.types import NestedField

    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.iceberg.projection import OutputShape
    from lakeflow_io.parquet.footer import Footer
    from lakeflow_io.reader.footers import Footers, Opened
    from lakeflow_io.reader.report import Counters

__all__ = ["Files"]


class Files:
    """The units of a scan, in order, as fast as footers come.

    Args:
        spec: What is read.
        shape: What comes out.
        footers: Of the files.
        unit_cost: Bytes above which row groups aren't read together.
        counters: Where files and row groups are counted.
    """

    def __init__(
        self, spec: ReadSpec, shape: OutputShape, footers: Footers, *, unit_cost: int, counters: Counters
    ) -> None:
        self._spec, self._shape, self._counters = spec, shape, counters
        self._footers, self._unit_cost = footers, unit_cost
        self._row_bytes = sum(fixed_width(field.type) for field in shape.read_schema)
        self._filter = RowGroupFilter.of(spec)
        self._layouts = Layouts()
        self._projections: dict[tuple[int, tuple[int, ...], tuple[str, ...]], tuple[FileLayout, FileProjection]] = {}
        self._units: Iterator[Unit] = iter(())
        self._path = ""

    @property
    def exhausted(self) -> bool:
        """Whether all files have been opened; the last one's units may still come."""
        return self._footers.exhausted

    def next_unit(self) -> Unit | None:
        """The next unit; None where its file's footer hasn't come yet, or there is none left.

        Raises:
            DataError, StoreError: a footer couldn't be fetched or decoded.
        """
        while True:
            try:
                unit = next(self._units, None)
            except Exception as error:  # noqa: BLE001  (the file is named, whatever it was)
                raise located(error, f"the footer of {self._path}") from error.__cause__
            if unit is not None:
                return unit
            opened = self._footers.next()
            if opened is None:
                return None
            self._path = opened.piece.path
            self._units = self._open(opened)

    def close(self) -> None:
        """Let go of what was fetched."""
        self._units = iter(())

    def _open(self, opened: Opened) -> Iterator[Unit]:
        """Lazily: what is wrong with a file is found when its first unit is asked for."""
        self._counters.files += 1
        piece, footer = opened.piece, opened.footer
        extra = opened.deletes.extra if opened.deletes is not None else ()
        layout, projection = self._match(piece, footer, extra)
        names, looked_at = self._shape.names, self._shape.filter_columns
        if opened.deletes is not None:
            names += tuple(field.name for field in extra)
            looked_at = tuple(dict.fromkeys(looked_at + opened.deletes.looked_at))
        constants = dict(piece.constants)
        file = OpenFile(piece, footer, layout, projection, constants, opened.there, names, looked_at, opened.deletes)
        judged = None
        if self._filter is not None:
            judged = self._filter.file(projection.present, footer.metadata, file.constants)
        columns = projection.fetched(names)
        groups = wanted_row_groups(file, columns, self._row_bytes, judged, self._counters)
        yield from pack(file, groups, self._unit_cost)

    def _match(self, piece: Piece, footer: Footer, extra: tuple[NestedField, ...]) -> tuple[FileLayout, FileProjection]:
        """A file's columns and the table's; `extra` are read besides."""
        layout = self._layouts.of(footer)
        # The layout is kept beside its projection, so that its id stays its own.
        key = id(layout), tuple(field_id for field_id, _ in piece.constants), tuple(field.name for field in extra)
        if key not in self._projections:
            spec, target = (self._spec, self._shape.read_schema) if not extra else self._widened(extra)
            made = FileProjection.of(spec, piece, layout, target)
            if footer.schema_bytes is None:
                return layout, made
            self._projections[key] = layout, made
        return self._projections[key]

    def _widened(self, extra: tuple[NestedField, ...]) -> tuple[ReadSpec, pa.Schema]:
        """What is read where deletes compare columns that the scan doesn't read."""
        from pyiceberg.schema import Schema

        spec = replace(self._spec, filter_columns=Schema(*self._spec.filter_columns.fields, *extra))
        # One by one: a column may be there twice, with its type of then and its type of now.
        return spec, pa.schema([*self._shape.read_schema, *(arrow_schema(Schema(each)).field(0) for each in extra)])
