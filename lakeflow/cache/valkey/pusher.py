"""Copies the current version of a cache into a server: rows first, then one pointer, then the clearing.

Readers go on with the version before until the pointer is set. A push that dies leaves rows that nothing points
to and a note of what they are: the next one of the same version goes on behind those that were acknowledged, the
next one of another removes them first.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

from lakeflow.cache.pushed.ending import clearing
from lakeflow.cache.pushed.report import PushReport
from lakeflow.cache.pushed.version import PushedVersion
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.valkey.capacity import check_capacity, server_facts
from lakeflow.cache.valkey.frames import frames
from lakeflow.cache.valkey.ledger import REMOVING, WHOLE, WRITING, Push, refuse_format_1
from lakeflow.cache.valkey.lock import PushLock, locked
from lakeflow.cache.valkey.names import Names, spread_tags
from lakeflow.cache.valkey.nodes import Nodes
from lakeflow.cache.valkey.pump import Pump
from lakeflow.cache.valkey.readback import check_samples
from lakeflow.cache.valkey.removal import remove
from lakeflow.cache.valkey.source import Source, buckets_for
from lakeflow_io.errors import CommitConflictError, StoreError, StoreFullError

if TYPE_CHECKING:
    from lakeflow.cache.cache import Cache
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["push"]

_BEAT_SECONDS = 1.0


def push(cache: Cache, url: str) -> PushReport:
    """Make the version that `cache` reads the current one in a server, or in a cluster of them.

    The server keeps the version before it too; one that it has kept becomes current again without a copy.

    Args:
        cache: In a folder or on an object store; a view that `Cache.at` made pushes its version.
        url: `valkey://[[user]:password@]host[:port][/db]`, of any node of a cluster; also redis. With TLS valkeys or
            rediss, and `?ssl_ca_certs=FILE`, `ssl_certfile=`, `ssl_keyfile=`. `valkey+unix:///path[?db=0]`.

    Raises:
        NotFoundError: nothing was published.
        ConfigError: the URL can't be used, or the server would evict rows.
        UnsupportedError: a column has no exact form there; it names the column. Or the server has what an earlier
            version of lakeflow wrote.
        CommitConflictError: another push of the cache is under way, or took over.
        StoreFullError: the server's memory is full, or too small; the old version stays current.
        StoreError: it can't be reached, or refuses, or has lost rows; the old version stays current, unless the error
            says otherwise, or the answer was lost to the command that makes the new one current.
    """
    opened = cache._version()  # noqa: SLF001  (mapped: a publish meanwhile doesn't take it away)
    fields = Fields(opened.schema)
    nodes = Nodes.at(url)
    try:
        with locked(nodes, Names(cache.name)) as lock:
            return _Pushing(lock, opened, fields).run()
    finally:
        nodes.close()


class _Pushing:
    """One push, while it holds the lock."""

    def __init__(self, lock: PushLock, opened: OpenVersion, fields: Fields) -> None:
        self._lock, self._opened, self._fields = lock, opened, fields
        self._nodes, self._names = lock.nodes, lock.names
        self._beaten_at = time.monotonic()
        self._removed = 0
        """Rows."""

    def run(self) -> PushReport:
        current, pushes = self._look()
        same = [push for push in pushes.values() if push.version.summary.id == self._opened.id]
        if current is not None and current in same:
            self._point_parts(current)  # where the one that made it current was killed before
            return self._cleared(current, pushes, rows=0, written=False)
        kept = next((push for push in same if push.state == WHOLE and self._stands(push)), None)
        resumed = next((push for push in same if push.state == WRITING), None)
        for push in list(pushes.values()):
            if push.state != WHOLE and push is not resumed:
                self._remove(pushes.pop(push.id))
        ready, rows = (kept, 0) if kept else self._written(resumed, current, pushes)
        pointed = self._point(ready, current.id if current else None)
        return self._cleared(pointed, pushes, rows=rows, written=True)

    def _look(self) -> tuple[Push | None, dict[str, Push]]:
        """Return the current push, and all that the server may have rows of."""
        names, nodes = self._names, self._nodes
        pointer = nodes.one(names.pointer, "GET", names.pointer)
        refuse_format_1(pointer, names)
        listed = nodes.one(names.pushes, "HGETALL", names.pushes)
        pairs = zip(listed[::2], listed[1::2], strict=True)
        where = names.pushes.decode()
        pushes = {push.decode(): Push.parse(push.decode(), value, where) for push, value in pairs}
        return (None if pointer is None else pushes.get(pointer.decode())), pushes

    def _written(self, resumed: Push | None, current: Push | None, pushes: dict[str, Push]) -> tuple[Push, int]:
        """Write all rows, or those that are left; return the push, and how many were written now."""
        new = self._new()
        push, done = new, 0
        if resumed is not None and (resumed.servers, resumed.tags) == (new.servers, new.tags):
            key = self._names.progress(resumed.id)
            push, done = resumed, int(self._nodes.one(key, "GET", key) or 0)
        self._beat()
        source = Source(self._opened, self._fields, push.buckets)
        if resumed is not None and push is not resumed:
            self._remove(pushes.pop(resumed.id))  # a server has restarted since, or it is a cluster now
        try:
            check_capacity(self._nodes, self._names, source, push, done)
        except StoreFullError:
            if not self._room_made(pushes, (push, current)):
                raise
            check_capacity(self._nodes, self._names, source, push, done)
        if push is new:
            self._lock.guarding(("HSET", self._names.pushes, push.id, push.to_json()))
        try:
            rows = self._send(source, push, done)
        except CommitConflictError:
            self._own_up(push)
            raise
        check_samples(self._nodes, self._names, source, push)
        if self._servers() != push.servers:
            message = (
                f"A server of {self._nodes.shown} has restarted during the push, or others have come: rows may be gone."
            )
            raise StoreError(message, "push again: the old version is current, and all rows are written anew.")
        return push, rows

    def _room_made(self, pushes: dict[str, Push], spared: tuple[Push | None, ...]) -> bool:
        """Remove the version before the current one, where there is one: nobody reads it any more."""
        old = [push for push in pushes.values() if push not in spared]
        for push in old:
            self._remove(pushes.pop(push.id))
        return bool(old)

    def _stands(self, push: Push) -> bool:
        """Whether a push is as whole as its note says: one node of a cluster may have lost its rows since."""
        return not push.tags or push.servers == self._servers()

    def _new(self) -> Push:
        tags = spread_tags(self._names.cache) if self._nodes.cluster else ()
        version = PushedVersion.of(self._opened.manifest)
        buckets = buckets_for(self._opened, self._fields)
        return Push(uuid4().hex[:12], WRITING, buckets, tags, self._servers(), version)

    def _servers(self) -> tuple[str, ...]:
        facts = (server_facts(self._nodes, owner, "server") for owner in self._nodes.masters)
        return tuple(sorted(fact.get("run_id", "") for fact in facts))

    def _send(self, source: Source, push: Push, done: int) -> int:
        """Write the buckets from `done` on; return the rows in them."""
        rows = 0

        def beat(oldest: int | None) -> None:
            self._beat(push, done if oldest is None else oldest)

        with Pump(self._nodes, beat) as pump:
            for following, packed in source.steps(done):
                rows += int(packed.rows.sum())
                for frame in frames(packed, self._names, push, pump.command_bytes):
                    pump.send(frame)
                done = following
            pump.drain()
        self._lock.guarding(("SET", self._names.progress(push.id), source.buckets))
        return rows

    def _beat(self, push: Push | None = None, done: int = 0) -> None:
        """Renew the lock every second, and note how far it is."""
        now = time.monotonic()
        if now - self._beaten_at >= _BEAT_SECONDS:
            self._beaten_at = now
            noted = () if push is None else (("SET", self._names.progress(push.id), done),)
            self._lock.guarding(*noted)

    def _point(self, push: Push, previous: str | None) -> Push:
        """Make a push the current one: first the pointers of the parts, then the one that decides."""
        names = self._names
        pointed = push.following(previous)
        self._point_parts(pointed)
        described = ("HSET", names.pushes, push.id, pointed.to_json())
        self._lock.guarding(described, ("UNLINK", names.progress(push.id)), ("SET", names.pointer, push.id))
        return pointed

    def _point_parts(self, push: Push) -> None:
        for part in range(len(push.tags)):
            key = push.pointer(self._names, part)
            self._nodes.one(key, "SET", key, push.id)
            self._beat()

    def _cleared(self, current: Push, pushes: dict[str, Push], *, rows: int, written: bool) -> PushReport:
        """Remove all pushes but the current one and the one before."""
        with clearing(self._opened.id, self._nodes.shown):
            for push in pushes.values():
                if push.id not in (current.id, current.previous):
                    self._remove(push)
        return PushReport(self._opened.id, rows, self._removed, written)

    def _remove(self, push: Push) -> None:
        remove(self._lock, push, self._beat)
        self._removed += push.version.summary.rows if push.state == WHOLE else 0

    def _own_up(self, push: Push) -> None:
        """After the lock was lost: list what was written, where whoever has it now removed it from the list."""
        pushes = self._names.pushes
        self._nodes.one(pushes, "HSETNX", pushes, push.id, push.in_state(REMOVING).to_json())
