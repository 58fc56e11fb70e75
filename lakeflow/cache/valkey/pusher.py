"""Copies the current version of a local cache into a server: rows first, then one pointer, then the clearing.

Readers go on with the version before until the pointer is set. A push that dies leaves rows that nothing
points to; the next one of the same version writes them again, the next one of another removes them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.columns import pieces
from lakeflow.cache.pushed.codec import RowCodec, key_bytes
from lakeflow.cache.pushed.report import PushReport
from lakeflow.cache.pushed.version import PushedVersion
from lakeflow.cache.valkey.lock import PushLock, locked
from lakeflow.cache.valkey.names import Names
from lakeflow.cache.valkey.server import Server
from lakeflow_io.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.cache.cache import Cache
    from lakeflow.cache.keys import KeyColumn
    from lakeflow.cache.version import OpenVersion

__all__ = ["push"]

_CHUNK_ROWS = 1_000  # one MSET of them holds the server's only thread for about a millisecond
_CHUNK_BYTES = 1 << 20  # of Arrow; Python's objects and the JSON are several times that
_SCAN_COUNT = 1_000


def push(cache: Cache, url: str) -> PushReport:
    """Make the version that `cache` reads the current one in a server.

    The server keeps the version before it too. In a cluster, give the node that the cache's keys belong to.

    Args:
        cache: A local cache; one that `Cache.at` pinned pushes that version.
        url: `valkey://[[user]:password@]host[:port][/db]`; also valkeys (TLS), redis and rediss.

    Raises:
        NotFoundError: nothing was published.
        ConfigError: the URL can't be used, the client isn't installed, or the server would evict rows.
        UnsupportedError: a column has no exact form there; it names the column.
        CommitConflictError: another push of the cache is under way, or took over.
        StoreFullError: the server's memory is full; the old version stays current.
        StoreError: it can't be reached, or refuses.
    """
    opened = cache._version()  # noqa: SLF001  (mapped: a publish meanwhile doesn't take it away)
    codec = RowCodec(opened.manifest.schema, opened.manifest.key)
    server, names = Server.at(url), Names(cache.name)
    with locked(server, names) as lock:
        current = _pointer(server, names)
        version = opened.manifest.version
        if current and current.summary.id == version:
            return PushReport(version, rows=0, removed=0, written=False)
        _refuse_eviction(server)
        previous = current.summary.id if current else None
        for chunk in _chunks(opened):
            _write(lock, version, opened.key, codec, chunk)
        pointer = PushedVersion.of(opened.manifest, previous)
        lock.guarding("SET", names.pointer, pointer.to_json())
        removed = _clear(lock, [version] if previous is None else [version, previous])
        return PushReport(version, opened.manifest.rows, removed, written=True)


def _pointer(server: Server, names: Names) -> PushedVersion | None:
    with server.talking():
        value = server.client.get(names.pointer)
    return None if value is None else PushedVersion.parse(value, names.pointer.decode())


def _refuse_eviction(server: Server) -> None:
    """Refuse a server that drops rows when its memory is full: they would look like keys without a row."""
    from valkey.exceptions import ResponseError

    facts: dict[str, Any] = {}
    with server.talking(), suppress(ResponseError):  # a user without the right to ask: it may be in order
        facts = server.client.info("memory")
    policy = str(facts.get("maxmemory_policy", ""))
    if policy.startswith("allkeys") and facts.get("maxmemory"):
        message = f"{server.shown} evicts any key when its memory is full (maxmemory-policy {policy})."
        raise ConfigError(message, "set it to noeviction or to one of volatile-*: rows have no expiry.")


def _chunks(opened: OpenVersion) -> Iterator[pa.Table]:
    """Cut the mapped shards, one after the other, into as many rows as one command takes."""
    for shard in opened.shards:
        for start in range(0, shard.rows.num_rows, _CHUNK_ROWS):
            rows = shard.rows.slice(start, _CHUNK_ROWS)
            yield from pieces(pa.Table.from_batches([rows]), _CHUNK_BYTES)


def _write(lock: PushLock, version: str, key: KeyColumn, codec: RowCodec, chunk: pa.Table) -> None:
    prefix = lock.names.version(version)
    keys = [prefix + key_bytes(each) for each in key.values(key.keys_of(chunk))]
    pairs = zip(keys, codec.encode(chunk), strict=True)
    lock.renewing("MSET", *(part for pair in pairs for part in pair))


def _clear(lock: PushLock, kept: list[str]) -> int:
    """Remove the rows of every version but `kept`, page by page; return how many.

    SCAN walks all keys of the database, also those of others: a small fraction of a push's time.

    Raises:
        StoreError: the server failed meanwhile; the pointer is set already.
    """
    prefixes = (*(lock.names.version(each) for each in kept), lock.names.pointer, lock.names.lock)
    pattern = lock.names.all + b"*"
    cursor, removed = 0, 0
    try:
        while True:
            cursor, found = lock.renewing("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            old = [each for each in found if not each.startswith(prefixes)]
            if old:
                removed += lock.guarding("UNLINK", *old)
            if not cursor:
                return removed
    except StoreError as error:
        message = f"{kept[0]} is current in {lock.server.shown}, but older rows aren't removed: {error.message}"
        raise StoreError(message, "the next push of a new version removes them.") from error
