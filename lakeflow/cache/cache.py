"""`Cache`: what a user publishes predictions with, looks after their versions, and reads them from."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from lakeflow.cache.building.load import load
from lakeflow.cache.building.update import update
from lakeflow.cache.files.layout import Layout, check_layout
from lakeflow.cache.files.manifest import Origin
from lakeflow.cache.files.pointer import read_consistently
from lakeflow.cache.files.verify import repair, verify
from lakeflow.cache.keys.column import key_names
from lakeflow.cache.publishing.checks import checked
from lakeflow.cache.publishing.publish import pin, published, rollback
from lakeflow.cache.publishing.retention import KEEP_VERSIONS, Collected, Retention, collect
from lakeflow.cache.reading.diff import diff
from lakeflow.cache.reading.reader import never_published
from lakeflow.cache.reading.version import CacheVersion
from lakeflow.cache.runs import run_into, runs_into
from lakeflow.cache.shelves import shelf_at
from lakeflow.cache.sink import CacheSink
from lakeflow.cache.stats import CacheStats
from lakeflow.cache.view import CacheView
from lakeflow.runs.state.silence import GIVE_UP_AFTER
from lakeflow_io.errors import NotFoundError, SchemaError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    import pyarrow as pa

    from lakeflow.cache.files.manifest import Manifest
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.keys.column import ManyKeys
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.runs.state.listing import FoundRun, RunInfo

__all__ = ["Cache"]


class Cache(CacheView):
    """A key-value cache of versions, in a local folder or on an object store.

    Any number of processes and threads read and publish at once. Each request sees one version,
    whole; the next request sees a version that was published meanwhile, on a store a moment later.
    An object can be pickled.

    Args:
        name: Letters, digits, `_`, `-` and `.`.
        root: The folder that holds caches, made by the first publish, or a URI of a store (`s3://`, `gs://`, `az://`,
            `memory://`); default `$LAKEFLOW_HOME/caches`, else `./caches`.
        keep: How many versions a publish leaves, with its own; pinned ones come on top.
        grace: Seconds for which a publish and `gc` leave a version alone after it was the current one. Default 0 in
            a folder, where what readers have opened stays readable, and 3600 on a store, where they fetch what
            they need when they need it.
        refresh: Seconds between two looks at what is current, on a store; in a folder every request looks.
        layout: How versions lie that this object publishes: `"columns"`; or `"rows"`, for caches that are larger than
            memory: beside the columns all rows once more, each as one run of bytes, so that a key takes a page or two
            of the disk, whatever the number of columns. It takes about twice the disk. Readers see by the version
            how it lies, and an update keeps that.
        storage: Storage properties, as a catalog has them: `{"s3.endpoint": ...}`. `lakeflow.shard-cache.folder` is
            where local copies of a store's files go, default `$XDG_CACHE_HOME/lakeflow/shards`, else
            `~/.cache/lakeflow/shards`; `lakeflow.shard-cache.bytes` is how large they may become, default 20 GiB.

    Raises:
        ConfigError: caches can't lie there, or a property can't be.
        InputError: the name, `keep`, `grace`, `refresh` or `layout` can't be used.

    Example:
        >>> import pyarrow as pa, tempfile
        >>> cache = Cache("scores", tempfile.mkdtemp())
        >>> version = cache.load(pa.table({"title_id": [7, 42], "score": [0.1, 0.7]}), key="title_id")
        >>> cache.get(42)
        {'title_id': 42, 'score': 0.7}
        >>> cache.get_many([42, 1])["found"].to_pylist()
        [True, False]
    """

    def __init__(
        self,
        name: str,
        root: str | os.PathLike[str] | None = None,
        *,
        keep: int = KEEP_VERSIONS,
        grace: float | None = None,
        refresh: float = 1.0,
        layout: Layout = "columns",
        storage: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(shelf_at(root, name, storage), refresh)
        self._retention = Retention(keep, self._shelf.grace if grace is None else grace)
        self._layout: Layout = check_layout(layout)

    def versions(self) -> list[CacheVersion]:
        """Return every version that can be read, oldest first; none where nothing was published.

        One whose manifest is gone, damaged or of another lakeflow is left out, with a warning in the log.
        """
        manifests, pointer = published(self._shelf)
        return [CacheVersion.of(manifest, pointer) for manifest in manifests]

    def at(self, version: str) -> Cache:
        """Return a view of one version, which stays with it whatever is published.

        A publish may remove the version; a view that has read from it already keeps on reading.

        Raises:
            NotFoundError: there is no such version.
        """
        pointer = self._shelf.read_pointer()
        known = pointer.published if pointer else ()
        if version not in known:
            raise NotFoundError.among("version", version, self._shelf.place, list(known))
        view = copy.copy(self)
        view._read_from(version)  # noqa: SLF001  (of this class)
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
                iterable of record batches. Tables, `lf.DataFrame` and lists of batches are read where they lie,
                up to 2 GiB or 67 million rows; all else is streamed, 256 MiB at a time.
            key: The key column: integers, strings or binary, without nulls, each key once; or a list of
                columns that are the key together, in the order in which look-ups give their values.
            run_id: A label; a second load with the same one returns the version of the first.
            source: Where the data came from: `table@snapshot`.
            checks: What must be true of the version for it to be published: those of `lakeflow.cache`, or any
                callable from the new version and the current one (or None) to None or to what is wrong.

        Returns:
            The version, current now.

        Raises:
            InputError: `data` isn't Arrow data, or `checks` no list of checks.
            SchemaError: the key column or another column can't be used.
            DuplicateKeyError: two rows have one key; it names the first few.
            CheckFailedError: a check failed; it names all that did. The old version stays current.
            CommitConflictError: on a store, the machine slept or was cut off for an hour while it built.
            UnsupportedError: the store has no conditional writes.
            StoreFullError: no space left; nothing is left behind.
            StoreError: another failure; the old version stays current.
        """
        origin = Origin(run_id=run_id, source=source)
        return self._published(
            load(self._shelf, data, key_names(key), origin, self._retention, checked(checks), self._layout)
        )

    def update(
        self,
        data: Any = None,
        *,
        delete: ManyKeys | None = None,
        run_id: str | None = None,
        source: str | None = None,
        checks: Sequence[Check] = (),
    ) -> CacheVersion:
        """Publish the current version with some rows changed; what doesn't change isn't written again.

        Shards are ranges of key hashes, of up to 4,000,000 rows or 256 MiB. Those in which a row comes, changes or
        goes are written anew, the others are shared with the version before. Where another version is published
        meanwhile, the changes are made to that one.

        Args:
            data: Whole rows, as `load` takes them, with the version's columns; one whose key is there takes its place.
            delete: Keys whose rows go, as `get_many` takes them; one that isn't there is no error. A key that is
                also in `data` gets that row.
            run_id: A label; a second update with the same one returns the version of the first.
            source: Where the data came from: `table@snapshot`.
            checks: As in `load`.

        Returns:
            The version, current now.

        Raises:
            NotFoundError: nothing was published.
            InputError: there is neither `data` nor `delete`, or `data` isn't Arrow data.
            SchemaError: the columns aren't the version's, or a key can't be one.
            DuplicateKeyError: two rows of `data` have one key.
            CheckFailedError: a check failed; it names all that did.
            CorruptFileError: a shard that has to be written anew is damaged.
            StoreError: another failure; the old version stays current.
        """
        origin = Origin(run_id=run_id, source=source)
        return self._published(update(self._shelf, data, delete, origin, self._retention, checked(checks)))

    def rollback(self, version: str | None = None) -> CacheVersion:
        """Make an earlier version current again, for every reader.

        Where `CURRENT`, which says what is published, is lost or damaged, it is written again: then `version` has to
        be named, and all that are whole count as published. Pins are lost.

        Args:
            version: Which; the one published before the current one where None.

        Raises:
            NotFoundError: there is no such version.
            CorruptFileError, ObjectNotFoundError: a file of it is gone or has another size; nothing changes.
        """
        return self._published(rollback(self._shelf, version))

    def pin(self, version: str | None = None) -> CacheVersion:
        """Keep a version, whatever is published, until `unpin`.

        Args:
            version: Which; the current one where None.

        Raises:
            NotFoundError: there is no such version.
        """
        return self._summary(pin(self._shelf, version, pinned=True))

    def unpin(self, version: str | None = None) -> CacheVersion:
        """Let a version go when it is old enough: the next publish or `gc` may remove it.

        Args:
            version: Which; the current one where None.

        Raises:
            NotFoundError: there is no such version.
        """
        return self._summary(pin(self._shelf, version, pinned=False))

    def runs(self) -> list[RunInfo]:
        """The runs that wrote, or write, into this cache: state, owner, age and progress; newest first.

        Takes a listing, and a few requests a run. `lakeflow.resume(run_id, into=cache)` goes on with one.

        Raises:
            StoreError: the store failed.
        """
        return runs_into(self._shelf)

    def found_run(self, run_id: str) -> FoundRun:
        """Find a run into this cache, for `resume` and `reproduce`.

        Raises:
            InputError: no run can have this id.
            NotFoundError: there is no such run.
        """
        return run_into(self._shelf, run_id)

    def gc(self, *, older_than: timedelta | None = GIVE_UP_AFTER) -> Collected:
        """Remove versions that `keep`, pins and `grace` don't keep, and what builds and runs left that died.

        A publish removes the same at its end, but gives up no run. What is being built is left alone.

        Args:
            older_than: A run into the cache that hasn't published and was not heard of for so long is given up: what
                it wrote is removed, and whoever resumes it gets a `RunAbandonedError`. None for never.

        Raises:
            InputError: `older_than` is no time.
            NotFoundError: there is no such cache.
            StoreError: something can't be removed; calling again goes on.
        """
        return collect(self._shelf, self._retention, older_than)

    def diff(self, old: str, new: str | None = None) -> pa.RecordBatchReader:
        """Tell which keys differ between two versions.

        Args:
            old: A version.
            new: Another; the one that is read where None.

        Returns:
            The key columns, and `_change_type`: `"added"`, `"removed"` or `"changed"`. In no particular order, a
            block at a time, so memory holds some ten thousand rows of both. A key has changed where a value
            has; a NaN is like a NaN. Where columns came, went or have other types, every key that stayed has.

        Raises:
            NotFoundError: there is no such version.
            SchemaError: the versions have other key columns.
        """
        views = self.at(old), self if new is None else self.at(new)
        return diff(*(view._version() for view in views))  # noqa: SLF001  (of this class)

    def stats(self) -> CacheStats:
        """Return how large the cache is, and the version that is read.

        Raises:
            NotFoundError: nothing was published.
        """
        opened = self._version()
        return CacheStats(
            version=self._summary(opened.manifest),
            layout=opened.manifest.layout,
            key=opened.key.name,
            columns=len(opened.schema.names),
            shards=len(opened.shards),
            versions=len(self.versions()),
            disk_bytes=self._shelf.stored_bytes(),
        )

    def verify(self) -> CacheVersion:
        """Read every file of the version and compare checksums.

        Raises:
            CorruptFileError: a file differs; it names the file.
            ObjectNotFoundError: a file is gone; it names the file.
        """
        manifest = self._manifest()
        verify(self._shelf, manifest)
        return self._summary(manifest)

    def repair(self) -> list[str]:
        """Compute indexes and rows files that are gone or damaged again from their payloads; return their names.

        What this object reads next, it reads from the repaired files; other processes have to open the cache again.

        Raises:
            CorruptFileError, ObjectNotFoundError: a payload is damaged: only another version helps.
        """
        repaired = repair(self._shelf, self._manifest())
        if repaired:
            self._read_from(self._fixed)
        return repaired

    def sink(self, key: str | Sequence[str], checks: Sequence[Check] = (), *, update: bool = False) -> CacheSink:
        """Return the output of a run that writes a new version, keyed by column `key`, or by several.

        Raises:
            NotFoundError: there is no version to update.
            SchemaError: no key can be made of `key`, or the version to update has another.
        """
        names = key_names(key)
        if update and names != self.key:
            message = f"The rows have the key {names}, and cache {self.name!r} has {self.key}."
            raise SchemaError(message, "update with the cache's key.")
        return CacheSink(self._shelf, names, self._retention, checked(checks), update=update, layout=self._layout)

    def _published(self, manifest: Manifest) -> CacheVersion:
        """Have the next request see what was just published, which a reader of a store else does a little later."""
        self._reader.expire()
        return self._summary(manifest)

    def _manifest(self) -> Manifest:
        """Of the version that is read, of which no other file is opened: they may be what is damaged."""

        def read(pointer: Pointer | None) -> Manifest:
            if pointer is None:
                raise never_published(self._shelf)
            return self._shelf.manifest(self._fixed or pointer.version)

        return read_consistently(self._shelf.read_pointer, read)
