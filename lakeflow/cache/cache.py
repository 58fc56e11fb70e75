"""`Cache`: what a user reads predictions from, and publishes and rolls back versions with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lakeflow.cache.keys import key_names
from lakeflow.cache.layout import CacheFolder
from lakeflow.cache.load import load
from lakeflow.cache.manifest import Origin, read_manifest
from lakeflow.cache.pointer import read_consistently, read_pointer, stamp_of
from lakeflow.cache.publish import KEEP_VERSIONS, published, rollback
from lakeflow.cache.sink import CacheSink
from lakeflow.cache.verify import repair, verify
from lakeflow.cache.version import CacheVersion, OpenVersion
from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.checks import Check
    from lakeflow.cache.keys import Key, KeyNames, ManyKeys
    from lakeflow.cache.manifest import Manifest
    from lakeflow.cache.pointer import Pointer, Stamp

__all__ = ["Cache"]


class Cache:
    """A key-value cache of versions in a local folder.

    Any number of processes and threads read and publish at once. Each request sees one version,
    whole; the next request sees a version that was published meanwhile. An object can be pickled.

    Args:
        name: Letters, digits, `_`, `-` and `.`.
        root: The folder that holds caches, made by the first publish; default `$LAKEFLOW_HOME/caches`,
            else `./caches`.
        keep: How many versions a publish leaves, with its own.

    Raises:
        ConfigError: the root isn't a local folder.
        InputError: the name or `keep` can't be used.

    Example:
        >>> import pyarrow as pa, tempfile
        >>> cache = Cache("scores", tempfile.mkdtemp())
        >>> version = cache.load(pa.table({"title_id": [7, 42], "score": [0.1, 0.7]}), key="title_id")
        >>> cache.get(42)
        {'title_id': 42, 'score': 0.7}
        >>> cache.get_many([42, 1])["found"].to_pylist()
        [True, False]
    """

    def __init__(self, name: str, root: str | os.PathLike[str] | None = None, *, keep: int = KEEP_VERSIONS) -> None:
        if keep < 1:
            raise InputError(f"keep={keep} would leave no version.", "keep at least 1.")
        self._folder = CacheFolder.at(root, name)
        self._keep = keep
        self._pointer_path = str(self._folder.pointer)
        self._pinned: str | None = None
        self._opened: tuple[Stamp | None, OpenVersion] | None = None

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._folder.name

    @property
    def root(self) -> str:
        """The folder that holds it, absolute."""
        return str(self._folder.root)

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the row of one key as a dict, with the key column in it.

        Args:
            key: An int, str or bytes, as the cache's key column is; a tuple of them where several columns are the key.
            default: What to return where there is no such row.

        Raises:
            SchemaError: the key is of another type, or out of the key column's range.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
            NotFoundError: nothing was published.
        """
        row = self._version().get(key)
        return default if row is None else row

    def get_many(self, keys: ManyKeys) -> pa.Table:
        """Return one row per key, in the order asked, duplicates included.

        Args:
            keys: ints, strs or bytes; or an Arrow array, a numpy integer array, or a data frame's column. Where
                several columns are the key: tuples; or a table, a data frame or an array of structs with these columns.

        Returns:
            The columns as they were loaded, the key columns holding the keys asked for, and a last
            column `found` (bool). The other columns are null where `found` is false.

        Raises:
            SchemaError: a null, a key of another type, or out of the key column's range.
            NotFoundError: nothing was published.
        """
        return self._version().get_many(keys)

    def __contains__(self, key: Key) -> bool:
        """Whether there is a row with this key."""
        return self._version().find(key) is not None

    def __len__(self) -> int:
        """Return the rows of the version that is read."""
        return self._version().manifest.rows

    def __repr__(self) -> str:
        pinned = f", version {self._pinned}" if self._pinned else ""
        return f"<Cache {self.name!r} in {self.root}{pinned}>"

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
        """The version that is read: the current one, or the one that `at` pinned."""
        return self._summary(self._version().manifest)

    def versions(self) -> list[CacheVersion]:
        """Return every version that can be read, oldest first; none where nothing was published."""
        manifests, current = published(self._folder)
        return [CacheVersion.of(manifest, current) for manifest in manifests]

    def at(self, version: str) -> Cache:
        """Return a view of one version, which stays with it whatever is published.

        A publish may remove the version; a view that has read from it already keeps on reading.

        Raises:
            NotFoundError: there is no such version.
        """
        known = [found.id for found in self.versions()]
        if version not in known:
            raise NotFoundError.among("version", version, str(self._folder.path), known)
        view = Cache(self.name, self.root, keep=self._keep)
        view._pinned = version
        return view

    def load(
        self,
        data: Any,
        *,
        key: str | Sequence[str],
        run_id: str | None = None,
        source: str | None = None,
        checks: Sequence[Check] = (),
    ) -> CacheVersion:
        """Build a version from data in this process, and publish it.

        String views are stored as large strings, dictionaries as their values; schema metadata isn't kept.

        Args:
            data: Anything with `__arrow_c_stream__` (tables, data frames, readers, scans), or an
                iterable of record batches; it is streamed, 256 MiB at a time.
            key: The key column: integers, strings or binary, without nulls, each key once; or a list of
                columns that are the key together, in the order in which look-ups give their values.
            run_id: A label; a second load with the same one returns the version of the first.
            source: Where the data came from: `table@snapshot`.
            checks: What must be true of the version for it to be published: those of `lakeflow.cache`, or any
                callable from the new version and the current one (or None) to None or to what is wrong.

        Returns:
            The version, current now.

        Raises:
            InputError: `data` isn't Arrow data.
            SchemaError: the key column or another column can't be used.
            DuplicateKeyError: two rows have one key; it names the first few.
            CheckFailedError: a check failed; it names all that did. The old version stays current.
            StoreFullError: no space left; nothing is left behind.
            StoreError: another failure; the old version stays current.
        """
        origin = Origin(run_id=run_id, source=source)
        return self._summary(load(self._folder, data, key_names(key), origin, self._keep, checks))

    def rollback(self, version: str | None = None) -> CacheVersion:
        """Make an earlier version current again, for every reader.

        Args:
            version: Which; the one published before the current one where None.

        Raises:
            NotFoundError: there is no such version.
            CorruptFileError, ObjectNotFoundError: its files aren't whole; nothing changes.
        """
        return self._summary(rollback(self._folder, version))

    def verify(self) -> CacheVersion:
        """Read every file of the version and compare checksums.

        Raises:
            CorruptFileError: a file differs; it names the file.
            ObjectNotFoundError: a file is gone; it names the file.
        """
        manifest = self._manifest()
        verify(self._folder.versions / manifest.version, manifest)
        return self._summary(manifest)

    def repair(self) -> list[str]:
        """Compute indexes that are gone or damaged again from their payloads; return their names.

        Raises:
            CorruptFileError, ObjectNotFoundError: a payload is damaged: only another version helps.
        """
        manifest = self._manifest()
        return repair(self._folder.versions / manifest.version, manifest)

    def sink(self, key: str | Sequence[str], checks: Sequence[Check] = ()) -> CacheSink:
        """Return the output of a run that writes a new version, keyed by column `key`, or by several."""
        return CacheSink(self._folder, key_names(key), self._keep, checks)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mappings behind: another process maps the files itself."""
        return {**self.__dict__, "_opened": None}

    def _summary(self, manifest: Manifest) -> CacheVersion:
        pointer = read_pointer(self._folder.pointer)
        return CacheVersion.of(manifest, pointer.version if pointer else "")

    def _manifest(self) -> Manifest:
        return read_consistently(
            self._folder.pointer,
            lambda pointer: read_manifest(self._folder.versions / self._chosen(pointer)),
        )

    def _version(self) -> OpenVersion:
        """Return the open version; a publish shows as another stamp of the pointer, which costs one stat."""
        stamp = None
        if self._pinned is None:
            try:
                stamp = stamp_of(os.stat(self._pointer_path))  # noqa: PTH116  (half the time of Path.stat)
            except FileNotFoundError:
                raise self._never_published() from None
        opened = self._opened
        if opened is None or opened[0] != stamp:
            opened = self._opened = read_consistently(self._folder.pointer, self._open)
        return opened[1]

    def _open(self, pointer: Pointer | None) -> tuple[Stamp | None, OpenVersion]:
        folder = self._folder.versions / self._chosen(pointer)
        stamp = pointer.stamp if pointer and self._pinned is None else None
        return stamp, OpenVersion.open(folder, read_manifest(folder))

    def _chosen(self, pointer: Pointer | None) -> str:
        if pointer is None:
            raise self._never_published()
        if self._pinned is None:
            return pointer.version
        if self._pinned not in pointer.published:
            where = str(self._folder.path)
            raise NotFoundError.among("version", self._pinned, where, list(pointer.published))
        return self._pinned

    def _never_published(self) -> NotFoundError:
        message = f"Cache {self.name!r} in {self.root} has no version."
        return NotFoundError(message, "publish one with Cache.load(), or check the name and the folder.")
