"""`CacheView`: the side of a `Cache` that reads, of the current version or of one that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from lakeflow.cache.reading.answer import AnswerKind, check_kind, handed_over
from lakeflow.cache.reading.reader import FixedReader
from lakeflow.cache.reading.version import CacheVersion
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from lakeflow.cache.files.manifest import Manifest
    from lakeflow.cache.keys.column import Key, KeyNames, ManyKeys
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.shelf import Shelf

__all__ = ["CacheView"]


class CacheView:
    """Look-ups in a cache; see `Cache`.

    Args:
        shelf: Where the cache lies.
        refresh: Seconds between two looks at what is current, on a store.

    Raises:
        InputError: `refresh` is no time.
    """

    def __init__(self, shelf: Shelf, refresh: float) -> None:
        if not refresh >= 0:
            raise InputError(f"refresh={refresh} is no time.", "give seconds, 0 or more.")
        self._shelf, self._refresh = shelf, refresh
        self._read_from(None)

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._shelf.name

    @property
    def root(self) -> str:
        """The folder that holds it, absolute, or the URI."""
        return self._shelf.root

    def get(self, key: Key, default: Any = None, *, columns: Sequence[str] | None = None) -> Any:
        """Return the row of one key as a dict, with the key column in it.

        Args:
            key: An int, str or bytes, as the cache's key column is; a tuple of them where several columns are the key.
            default: What to return where there is no such row.
            columns: Which columns, in this order; all where None.

        Raises:
            SchemaError: the key is of another type, or out of the key column's range.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
            NotFoundError: nothing was published, or there is no such column.
            CorruptFileError: what is read isn't what was written.
        """
        row = self._version().get(key, columns)
        return default if row is None else row

    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["arrow"] = "arrow"
    ) -> pa.Table: ...
    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["dict"]
    ) -> dict[Key, dict[str, Any] | None]: ...
    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["polars"]
    ) -> pl.DataFrame: ...
    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["pandas"]
    ) -> pd.DataFrame: ...
    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["duckdb"]
    ) -> duckdb.DuckDBPyRelation: ...
    @overload
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = ...) -> Any: ...
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = "arrow") -> Any:
        """Return one row per key, in the order asked, duplicates included.

        Args:
            keys: ints, strs or bytes; or an Arrow array, a numpy integer array, or a data frame's column. Where
                several columns are the key: tuples; or a table, a data frame or an array of structs with these columns.
            columns: Which columns, in this order; all where None. Others aren't read.
            to: `"arrow"`, `"polars"`, `"pandas"` (Arrow-backed columns) or `"duckdb"`; or `"dict"`: each key once, in
                the order asked, with its row as a dict, or None where there is none.

        Returns:
            The columns as they were loaded, the key columns holding the keys asked for, and a last
            column `found` (bool). The other columns are null where `found` is false. Or a dict.

        Raises:
            SchemaError: a null, a key of another type, or out of the key column's range.
            NotFoundError: nothing was published, or there is no such column.
            InputError: `to` or `columns` can't be.
            ConfigError: the frame's package isn't installed.
            CorruptFileError: what is read isn't what was written.
        """
        check_kind(to)
        opened = self._version()
        asked = opened.key.array(keys)
        return handed_over(opened.get_many(asked, columns), opened.key.values(asked) if to == "dict" else (), to)

    def __contains__(self, key: Key) -> bool:
        """Whether there is a row with this key."""
        return key in self._version()

    def __len__(self) -> int:
        """Return the rows of the version that is read."""
        return self._version().manifest.rows

    def __repr__(self) -> str:
        fixed = f", version {self._fixed}" if self._fixed else ""
        return f"<Cache {self.name!r} in {self.root}{fixed}>"

    @property
    def schema(self) -> pa.Schema:
        """The columns of the version that is read."""
        return self._version().manifest.schema

    @property
    def key(self) -> KeyNames:
        """The key column of the version that is read; a tuple of several."""
        return self._version().manifest.key

    @property
    def version(self) -> CacheVersion:
        """The version that is read: the current one, or the one that `at` chose."""
        return self._summary(self._version().manifest)

    def fetch(self) -> None:
        """Have all files of the version that is read on this machine now, and those of later ones before they are read.

        Without it, a cache on an object store fetches a shard when a key in it is first asked for. For a cache in a
        local folder it does nothing.

        Raises:
            NotFoundError: nothing was published.
            StoreError: a file can't be fetched, or there is no room for it.
        """
        self._reader.fetch()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mappings behind: another process maps the files itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_reader", "_version")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read from the same version as the original."""
        self.__dict__.update(state)
        self._read_from(self._fixed)

    def _read_from(self, fixed: str | None) -> None:
        """Read from one version, or from whichever is current."""
        self._fixed = fixed
        self._reader = FixedReader(self._shelf, fixed) if fixed else self._shelf.reader(self._refresh)
        # What every request asks for: the reader's own method, so that there is one call and not two.
        self._version: Callable[[], OpenVersion] = self._reader.version

    def _summary(self, manifest: Manifest) -> CacheVersion:
        return CacheVersion.of(manifest, self._shelf.read_pointer())
