"""A folder of plain Parquet files as a scan sees it: listed once, then pruned, split and read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError
from lakeflow_io.folder.hive import HiveTypes, label, partitions
from lakeflow_io.folder.listing import Found, list_files
from lakeflow_io.folder.paths import take_apart
from lakeflow_io.folder.prune import surviving
from lakeflow_io.folder.schema import FORMAT_VERSION, Columns, check_asked, columns_of
from lakeflow_io.iceberg.plan import Piece, ReadSpec, select_fields
from lakeflow_io.iceberg.predicate import referenced_columns
from lakeflow_io.iceberg.splits import RowGroups, read_side_by_side
from lakeflow_io.parquet.footer import Footer, footer_range, parse_footer, read_footer
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema

    from lakeflow_io.storage import Transport

__all__ = ["Folder", "open_folder"]


@dataclass(frozen=True, slots=True)
class Folder:
    """Files that were there when it was opened; those and no others are read."""

    name: str
    """What the caller wrote, for messages."""
    files: list[Found]
    partitions: pa.Table
    """One row a file, one column a key of its path."""
    columns: Columns
    store: dict[str, str] = field(repr=False)
    layouts: dict[str, RowGroups] = field(repr=False)
    """By URI, of the files whose footers were read."""
    density: float = 0.0
    """Rows a byte, in these files."""
    footer: bytes = field(default=b"", repr=False)
    """Of a file that is read alone."""

    @property
    def schema(self) -> Schema:
        """All columns, those of the path included."""
        return self.columns.schema

    def detached(self, pieces: Sequence[Piece]) -> Folder:
        """Itself: a listing travels."""
        del pieces
        return self

    def spec(self, columns: Sequence[str], predicate: BooleanExpression | None) -> ReadSpec:
        """How to read `columns`, all of which are known to be there, of the rows that pass."""
        schema = self.schema
        named = referenced_columns(predicate) if predicate else []
        return ReadSpec(
            table=self.name,
            snapshot_id=None,
            columns=select_fields(schema, columns),
            filter_columns=select_fields(schema, [*columns, *named]),
            filter=predicate,
            name_mapping=None,
            format_version=FORMAT_VERSION,
            store=self.store,
            match="name",
        )

    def rows(self, file: Found) -> int:
        """A file's rows: what its footer says, else as many as its bytes have in the files that were looked at."""
        layout = self.layouts.get(file.uri)
        return layout.rows if layout is not None else int(file.size * self.density)

    def pieces(self, spec: ReadSpec) -> list[Piece]:
        """One piece a file, in the order of the listing, without those whose partition can't pass."""
        keys = self.partitions.column_names
        ids = [self.columns.schema.find_field(key).field_id for key in keys]
        values = [self.partitions[key].to_pylist() for key in keys]
        shared: dict[str, tuple[str, tuple[tuple[int, Any], ...]]] = {}  # pieces are pickled by the thousand
        pieces = []
        for row in surviving(spec.filter, self.columns.schema, self.partitions):
            file, own = self.files[row], [column[row] for column in values]
            layout = self.layouts.get(file.uri)
            key = repr(own)
            named, constants = shared.setdefault(key, (label(keys, own), tuple(zip(ids, own, strict=True))))
            pieces.append(
                Piece(
                    path=file.uri,
                    file_size=file.size,
                    start=0,
                    end=file.size,
                    rows=self.rows(file),
                    partition=named,
                    partition_key=key,
                    splits=layout.splits if layout else (),
                    split_rows=layout.split_rows if layout else (),
                    constants=constants,
                    footer=self.footer,
                )
            )
        return pieces


def open_folder(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: dict[str, str],
    *,
    hive: HiveTypes = None,
    schema: pa.Schema | None = None,
    union_by_name: bool = False,
) -> Folder:
    """List files and find out what columns they have.

    Args:
        paths: A file, a folder, a glob, or several.
        store: Storage properties.
        hive: Partition columns: True, False, types by name, or None for those there are.
        schema: The columns to read; default those of the first file.
        union_by_name: Take the columns of all files, which reads all footers.

    Raises:
        NotFoundError: there is no file.
        InputError: an argument can't be.
        SchemaError: files or partition values don't fit together.
        CorruptFileError: a file whose footer was read is no Parquet file.
    """
    given = [take_apart(path) for path in _several(paths)]
    if not given:
        raise InputError("There are no paths to read.", "give a path, a URI or a glob, or a list of them.")
    if not isinstance(union_by_name, bool):
        raise InputError(f"union_by_name={union_by_name!r} is neither True nor False.", "give one of them.")
    if schema is not None:
        check_asked(schema)
    if schema is not None and union_by_name:
        raise InputError("schema= and union_by_name=True contradict each other.", "give one of them.")
    transport = open_transport(store)
    files = list_files(transport, given)
    found = partitions(files, hive, schema)
    looked_at = files if union_by_name else files[:1] if schema is None else []
    footers = _read_footers(transport, looked_at)
    columns = columns_of(footers, schema, found.schema)
    name = given[0].text + (f" and {len(given) - 1} more" if len(given) > 1 else "")
    layouts = {footer.uri: RowGroups.of(footer) for footer in footers}
    seen = sum(footer.size for footer in footers)
    density = sum(layout.rows for layout in layouts.values()) / seen if seen else 0.0
    alone = footers[0].encoded if len(files) == 1 and footers else b""
    files = [replace(file, tail=b"") for file in files]
    return Folder(name, files, found, columns, store, layouts, density, alone)


def _several(paths: object) -> list[Any]:
    if isinstance(paths, str | os.PathLike):
        return [paths]
    return list(paths) if isinstance(paths, Iterable) else [paths]


def _read_footers(transport: Transport, files: Sequence[Found]) -> list[Footer]:
    if len(files) <= 1:
        return [_read_footer(transport, file) for file in files]
    return read_side_by_side(lambda file: _read_footer(transport, file), files)


def _read_footer(transport: Transport, file: Found) -> Footer:
    tail = memoryview(file.tail)
    if tail and file.size - footer_range(file.uri, file.size, tail).start <= len(tail):
        return parse_footer(file.uri, file.size, tail)
    return read_footer(transport, file.uri, file.size)
