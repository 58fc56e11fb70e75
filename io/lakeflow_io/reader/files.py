"""Pieces -> open files -> units to read: columns matched, row groups judged by statistics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.projection import FileProjection
from lakeflow_io.iceberg.row_groups import RowGroupFilter
from lakeflow_io.parquet.decode import decode_columns
from lakeflow_io.parquet.footer import Footer
from lakeflow_io.parquet.layout import Layouts
from lakeflow_io.reader.located import located
from lakeflow_io.reader.unit import Access, OpenFile, fixed_width, pack, wanted_groups, wanted_row_groups

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from pyiceberg.types import NestedField

    from lakeflow_io.formats import Contents
    from lakeflow_io.iceberg.plan import ReadSpec
    from lakeflow_io.iceberg.projection import OutputShape
    from lakeflow_io.parquet.ranges import FetchedRanges
    from lakeflow_io.reader.footers import Footers, Opened
    from lakeflow_io.reader.report import Counters
    from lakeflow_io.reader.unit import RowGroup, Unit

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
        self._projections: dict[Hashable, tuple[object, FileProjection]] = {}
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
        if isinstance(opened.footer, Footer):
            file, groups = self._open_parquet(opened, opened.footer)
        else:
            file, groups = self._open_other(opened, opened.footer)
        yield from pack(file, groups, self._unit_cost)

    def _open_parquet(self, opened: Opened, footer: Footer) -> tuple[OpenFile, Iterator[RowGroup]]:
        layout = self._layouts.of(footer)

        def decode(group: RowGroup, columns: Sequence[str], fetched: FetchedRanges) -> dict[str, pa.ChunkedArray]:
            return decode_columns(footer, layout, group.index, columns, group.chunks, group.rows, fetched)

        access = Access(layout.schema, layout.indices, decode, fetches_columns=True, decodes_columns=True)
        file = self._file(opened, access, id(layout) if footer.schema_bytes is not None else None)
        judged = None
        if self._filter is not None:
            judged = self._filter.file(file.projection.present, footer.metadata, file.constants)
        columns = file.projection.fetched(file.names)
        return file, wanted_row_groups(file, footer, columns, self._row_bytes, judged, self._counters)

    def _open_other(self, opened: Opened, contents: Contents) -> tuple[OpenFile, Iterator[RowGroup]]:
        piece, rows = opened.piece, sum(rows for rows, _ in contents.groups)
        if piece.is_whole and rows != piece.rows:
            raise CorruptFileError(
                f"{piece.path} has {rows} rows, not {piece.rows} as its manifest says.",
                "the file is damaged; restore it or roll the table back to a snapshot without it.",
            )

        def decode(group: RowGroup, columns: Sequence[str], fetched: FetchedRanges) -> dict[str, pa.ChunkedArray]:
            return contents.decode(group.index, columns, fetched)

        access = Access(
            contents.schema, _whole_group, decode, fetches_columns=False, decodes_columns=contents.is_columnar
        )
        file = self._file(opened, access, (piece.format, contents.key))
        columns = file.projection.fetched(file.names)
        return file, wanted_groups(file, contents, columns, self._row_bytes, self._counters)

    def _file(self, opened: Opened, access: Access, key: Hashable) -> OpenFile:
        """Match a file's columns with the table's; files with one key, which isn't None, have the same ones."""
        piece, deletes = opened.piece, opened.deletes
        extra = deletes.extra if deletes is not None else ()
        names, looked_at = self._shape.names, self._shape.filter_columns
        if deletes is not None:
            names += tuple(field.name for field in extra)
            looked_at = tuple(dict.fromkeys(looked_at + deletes.looked_at))
        whole = key, tuple(field_id for field_id, _ in piece.constants), tuple(field.name for field in extra)
        if key is None or whole not in self._projections:
            spec, target = (self._spec, self._shape.read_schema) if not extra else self._widened(extra)
            projection = FileProjection.of(spec, piece, access.schema, target)
            if not isinstance(opened.footer, Footer):
                projection.refuse_other_zones(piece.path)
            if key is not None:
                # What a key's object belongs to is kept beside it, so that its id stays its own.
                self._projections[whole] = access.leaves, projection
        else:
            projection = self._projections[whole][1]
        return OpenFile(piece, access, projection, dict(piece.constants), opened.there, names, looked_at, deletes)

    def _widened(self, extra: tuple[NestedField, ...]) -> tuple[ReadSpec, pa.Schema]:
        """What is read where deletes compare columns that the scan doesn't read."""
        from pyiceberg.schema import Schema

        spec = replace(self._spec, filter_columns=Schema(*self._spec.filter_columns.fields, *extra))
        # One by one: a column may be there twice, with its type of then and its type of now.
        return spec, pa.schema([*self._shape.read_schema, *(arrow_schema(Schema(each)).field(0) for each in extra)])


def _whole_group(columns: tuple[str, ...]) -> Sequence[int]:
    """A row group that is fetched whole has one part, and none where nothing of it is read."""
    return (0,) if columns else ()
