"""Plain Parquet: a file, a folder or a glob -> the same scan that tables give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow.arguments import wanted_columns
from lakeflow.scan import Scan
from lakeflow_io.errors import ConfigError
from lakeflow_io.folder import open_folder
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression

    from lakeflow.dataframe import DataFrame
    from lakeflow_io.folder import Folder

__all__ = ["read_parquet", "scan_folder", "scan_parquet"]


def scan_parquet(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    columns: Sequence[str] | str | None = None,
    where: str | BooleanExpression | None = None,
    hive: bool | Mapping[str, pa.DataType] | pa.Schema | None = None,
    schema: pa.Schema | None = None,
    union_by_name: bool = False,
    **storage: Any,
) -> Scan:
    """A lazy read of plain Parquet files: those that are there now.

    The files are listed, and the footer of the first is read for its columns. Other files may have
    them in another order, lack some (which are null then), or have narrower types.

    Args:
        path: A file, a folder (with all that is below it) or a glob with `*`, `?`, `[...]` and `**`;
            local, or the URI of any store; or several of these.
        columns: Names in the wanted order; default all.
        where: As for `Table.scan`. On partition columns it prunes files before they are opened.
        hive: Whether `key=value` folders are columns: None if there are any, True to insist, False to
            ignore them, or their types, such as `{"year": pa.int32()}`. Otherwise a column is int64
            where all values are whole numbers, date32 where all are ISO dates, else text.
        schema: The columns to read instead of the first file's, with the types they shall have.
        union_by_name: The columns of all files, in the widest types, for which all footers are read.
        storage: Storage properties, as a catalog has them: `**{"s3.endpoint": ...}`.

    Raises:
        NotFoundError: there is no such file, folder or column.
        InputError: an argument can't be.
        FilterError: `where` doesn't parse or doesn't fit.
        SchemaError: files, or values on paths, don't fit together.
        UnsupportedError: a wanted column has a type without a counterpart in Iceberg.
        CorruptFileError: the first file is no Parquet file.
        StoreError: the store failed.

    Example:
        >>> scan_parquet("s3://lake/events/year=2024/", where="country = 'DE'")  # doctest: +SKIP
    """
    store = store_properties(storage)
    unknown = sorted(storage.keys() - store.keys())
    if unknown:
        raise ConfigError(
            f"scan_parquet() got {unknown[0]}=, which is no option and no storage property.",
            'write storage properties as **{"s3.endpoint": "https://..."}.',
        )
    folder = open_folder(path, store, hive=hive, schema=schema, union_by_name=union_by_name)
    return scan_folder(folder, columns, where)


def scan_folder(folder: Folder, columns: Sequence[str] | str | None, where: str | BooleanExpression | None) -> Scan:
    """A lazy read of files that have been listed.

    Raises:
        NotFoundError: there is no such column.
        InputError: `columns` is empty.
        FilterError: `where` doesn't parse or doesn't fit.
        UnsupportedError: a wanted column has a type without a counterpart in Iceberg.
    """
    unreadable = folder.columns.unreadable
    known = [*folder.columns.names, *unreadable]
    wanted = known if columns is None else wanted_columns(columns, known, folder.name)
    for name in wanted:
        if name in unreadable:
            raise unreadable[name]
    predicate = None if where is None else parse_filter(where, folder.columns.schema, folder.name)
    return Scan(folder, folder.spec(wanted, predicate))


def read_parquet(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    columns: Sequence[str] | str | None = None,
    where: str | BooleanExpression | None = None,
    hive: bool | Mapping[str, pa.DataType] | pa.Schema | None = None,
    schema: pa.Schema | None = None,
    union_by_name: bool = False,
    memory: int | str | None = None,
    **storage: Any,
) -> DataFrame:
    """All rows of plain Parquet files, in memory: `scan_parquet(...).read(memory=memory)`.

    Raises:
        DataError: a file can't be read; names it.
        SchemaError: a file's column doesn't become the scan's; names both.
        InputError: as for `scan_parquet`.
        StoreError: the store failed.

    Example:
        >>> read_parquet("events/year=2024/").to_polars()  # doctest: +SKIP
    """
    scan = scan_parquet(
        path, columns=columns, where=where, hive=hive, schema=schema, union_by_name=union_by_name, **storage
    )
    return scan.read(memory=memory)
