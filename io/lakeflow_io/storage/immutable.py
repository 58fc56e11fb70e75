"""Parts of objects that never change, remembered: by the process, and between processes in one file.

Iceberg writes no file twice under one name, so what was read of one holds for good. SQLite keeps the
file whole, whoever is killed, and lets many processes use it at once. Whatever goes wrong with it is
a miss: a scan without a cache is a request slower, and never fails for it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zlib
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from lakeflow_io.budget import parse_bytes
from lakeflow_io.storage.relocated import Relocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ImmutableCache", "places"]

_FOLDER, _LIMIT = "lakeflow.metadata-cache.folder", "lakeflow.metadata-cache.bytes"
_OFF = "none"
_DISK_BYTES, _MEMORY_BYTES = 256 * 2**20, 64 * 2**20
_LARGEST_BYTES = 4 * 2**20
# Bytes written at once: a transaction takes milliseconds, whatever is in it.
_BATCH_BYTES = 8 * 2**20
# As long as another process may keep a look-up waiting.
_PATIENCE_SECONDS = 0.2
# The same name may mean something else there: on another endpoint, in another account.
_PLACES = (
    "s3.endpoint", "gcs.service.host",
    "adls.account-name", "adls.account-host", "adls.blob-storage-authority", "adls.connection-string",
)  # fmt: skip
_ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
_PAGES = ("page_count", "freelist_count", "page_size")
# As near as a cache would be, and written again under the same name more easily.
_NEAR = ("file:", "/", "memory:")


class ImmutableCache:
    """What one scan looks up and remembers of immutable objects.

    Args:
        kind: What is kept of each: the same object may be kept as several things.
        properties: Storage properties. `lakeflow.metadata-cache.folder` is where the file lies, default
            `$XDG_CACHE_HOME/lakeflow`, else `~/.cache/lakeflow`; `none` remembers nothing at all.
            `lakeflow.metadata-cache.bytes` is how large it may become, default 256 MiB.
        largest: Bytes of what is kept at most; what is larger is cheaper to fetch.
        in_memory: Whether this process remembers it, too, apart from the file.

    Raises:
        InputError: the limit is no size.
    """

    def __init__(
        self, kind: str, properties: Mapping[str, str], *, largest: int = _LARGEST_BYTES, in_memory: bool = True
    ) -> None:
        self._prefix = "\0".join([kind, *places(properties)])
        self._limit = parse_bytes(properties.get(_LIMIT) or _DISK_BYTES)
        self.is_off = properties.get(_FOLDER) == _OFF
        self._file = None if self.is_off else _file(properties.get(_FOLDER))
        self._where = Relocation.of(properties)
        self._largest = largest
        self._memory = _memory if in_memory else _Memory(0)
        self._unsaved: dict[bytes, bytes] = {}
        self._unsaved_bytes = 0
        self._lock = Lock()

    def find(self, objects: Sequence[tuple[str, int]]) -> list[bytes | None]:
        """What is known of each object.

        Args:
            objects: URI and size in bytes.
        """
        keys = [self.identity(uri, size) for uri, size in objects]
        found = {key: data for key in keys if key is not None and (data := self._memory.get(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key is not None and key not in found]
        if missing and self._file is not None:
            on_disk = _read(self._file, missing)
            for key, data in on_disk.items():
                self._memory.put(key, data)
            found |= on_disk
        return [found.get(key) if key is not None else None for key in keys]

    def keep(self, uri: str, size: int, data: bytes) -> None:
        """Remember something of an object of `size` bytes; on disk once `save` is called."""
        key = self.identity(uri, size)
        if key is None or len(data) > self._largest:
            return
        self._memory.put(key, data)
        if self._file is None:
            return
        with self._lock:
            self._unsaved[key] = data
            self._unsaved_bytes += len(data)

    def forget(self, objects: Iterable[tuple[str, int]]) -> None:
        """Don't rely on what is known of these any more."""
        keys = [key for uri, size in objects if (key := self.identity(uri, size)) is not None]
        for key in keys:
            self._memory.drop(key)
            with self._lock:
                self._unsaved_bytes -= len(self._unsaved.pop(key, b""))
        if keys and self._file is not None:
            _write(self._file, {}, keys, self._limit)

    def save(self, *, enough: bool = False) -> None:
        """Write to disk what isn't there yet; with `enough`, only if that is worth a transaction."""
        with self._lock:
            if not self._unsaved or (enough and self._unsaved_bytes < _BATCH_BYTES):
                return
            unsaved, self._unsaved, self._unsaved_bytes = self._unsaved, {}, 0
        if self._file is not None:
            _write(self._file, unsaved, [], self._limit)

    def identity(self, uri: str, size: int) -> bytes | None:
        """What tells an object from all others, for good; None where nothing may be remembered of it."""
        uri = uri if self._where is None else self._where(uri)
        if self.is_off or uri.startswith(_NEAR):
            return None
        return hashlib.blake2b(f"{self._prefix}\0{size}\0{uri}".encode(), digest_size=16).digest()


def places(properties: Mapping[str, str]) -> list[str]:
    """What beside its URI tells where an object is: endpoints and accounts."""
    return [properties.get(name, "") for name in _PLACES] + [os.environ.get(name, "") for name in _ENVIRONMENT]


class _Memory:
    """What was used last, up to a number of bytes; shared by all scans of the process."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: bytes, data: bytes) -> None:
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._bytes > self._limit:
                self._bytes -= len(self._kept.popitem(last=False)[1])

    def drop(self, key: bytes) -> None:
        with self._lock:
            self._bytes -= len(self._kept.pop(key, b""))


_memory = _Memory(_MEMORY_BYTES)


def _file(folder: str | None) -> Path | None:
    try:
        chosen = Path(folder or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lakeflow").expanduser()
    except RuntimeError:  # nobody's home
        return None
    return chosen.absolute() / "metadata-1.sqlite"


def _read(file: Path, keys: list[bytes]) -> dict[bytes, bytes]:
    query = f"SELECT key, checksum, bytes FROM kept WHERE key IN ({','.join('?' * len(keys))})"  # noqa: S608  (marks)
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_SECONDS)) as database:
            rows = database.execute(query, keys).fetchall()
    except sqlite3.OperationalError:  # there is none yet, it is locked, the disk is gone
        return {}
    except sqlite3.DatabaseError:
        _discard(file)
        return {}
    # A disk may fail, or the machine: nothing is synced.
    return {key: data for key, checksum, data in rows if checksum == zlib.crc32(data)}


def _write(file: Path, added: Mapping[bytes, bytes], dropped: list[bytes], limit: int) -> None:
    try:
        # Footers hold the smallest and largest values of columns: nobody else's business.
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(file, timeout=_PATIENCE_SECONDS)) as database, database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, checksum INTEGER, bytes BLOB)")
            database.executemany("DELETE FROM kept WHERE key = ?", [(key,) for key in dropped])
            rows = [(key, zlib.crc32(data), data) for key, data in added.items()]
            database.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", rows)
            _make_room(database, limit)
    except (OSError, sqlite3.OperationalError):  # read-only, full, locked: nothing is remembered, then
        return
    except sqlite3.DatabaseError:
        _discard(file)


def _make_room(database: sqlite3.Connection, limit: int) -> None:
    """Drop what was kept first, a quarter at a time: which is cheap, and needs no writing when something is used."""
    while True:
        pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
        if (pages - free) * size <= limit or not database.execute("SELECT count(*) FROM kept").fetchone()[0]:
            return
        database.execute(
            "DELETE FROM kept WHERE rowid IN "
            "(SELECT rowid FROM kept ORDER BY rowid LIMIT (SELECT count(*) / 4 + 1 FROM kept))"
        )


def _discard(file: Path) -> None:
    """A damaged file is begun anew."""
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return
