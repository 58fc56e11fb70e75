"""DuckDB: `iceberg_scan`, with the extensions that are packages, in a process that it may take with it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from readers.rows import arrow_rows

if TYPE_CHECKING:
    from readers.outcome import Read
    from readers.rows import Rows

_EXTENSIONS = ("icu", "avro", "iceberg")


def rows(metadata: str, read: Read) -> Rows:
    """A query's rows.

    Raises:
        RuntimeError: DuckDB's own exception, or that its process ended.
    """
    at = f", snapshot_from_id={read.snapshot}" if read.snapshot is not None else ""
    where = f" WHERE {read.where}" if read.where else ""
    try:
        found = _process().submit(_query, f"SELECT * FROM iceberg_scan('{metadata}'{at}){where}").result()
    except BrokenProcessPool as error:
        _process.cache_clear()
        raise RuntimeError("it ended its process") from error
    if isinstance(found, str):
        raise RuntimeError(found)  # noqa: TRY004  (a message, not a wrong type)
    return found


@cache
def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"))


def _query(query: str) -> Rows | str:
    """The rows, or the message of an exception; a database of its own, since an internal error ends one for good."""
    import duckdb

    try:
        with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as database:
            for name in _EXTENSIONS:
                database.execute(f"LOAD '{_extension(name)}'")
            database.execute("SET TimeZone = 'UTC'")
            return arrow_rows(database.sql(query).to_arrow_table())
    except Exception as error:  # noqa: BLE001  (some of its exceptions can't be pickled)
        return f"{type(error).__name__}: {error}"


def _extension(name: str) -> Path:
    package = find_spec(f"duckdb_extension_{name}")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).parent.glob(f"extensions/*/{name}.duckdb_extension"))
