"""Follows the pointer of a cache on a store, without a request having to wait for it.

Every `refresh` seconds the next request has a thread ask for the pointer, if it has another tag, and goes on with
the version it has. The thread opens a new version and fetches what was in use of the old one; then requests see it.
A request that comes after a long silence waits for that thread, a moment. Where the store can't be asked, the
version that is here goes on being read.
"""

from __future__ import annotations

import logging
import os
import time
from threading import Lock, Thread
from typing import TYPE_CHECKING

from lakeflow.cache.files.pointer import read_consistently
from lakeflow.cache.reading.reader import never_published, open_current
from lakeflow.cache.remote.shards import ObjectShards
from lakeflow_io.errors import LakeflowError, NotFoundError

if TYPE_CHECKING:
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.reading.version import OpenVersion
    from lakeflow.cache.remote.shelf import ObjectShelf

__all__ = ["ObjectReader"]

_SILENCE = 3  # so many times `refresh` without a look, and a request waits for one
_WAIT_SECONDS = 2.0  # for a look; after that it is the store that is slow, and not the version that is new

_log = logging.getLogger("lakeflow.cache")


class ObjectReader:
    """See `Reader`.

    Args:
        shelf: The cache.
        refresh: Seconds between two looks.
    """

    def __init__(self, shelf: ObjectShelf, refresh: float) -> None:
        self._shelf, self._refresh = shelf, refresh
        self._opened: OpenVersion | None = None
        self._tag: str | None = None
        self._looked = 0.0
        """When the last look began, in seconds of the monotonic clock."""
        self._everything = False
        self._failing = False
        """Whether that was said."""
        self._thread: Thread | None = None
        self._began = 0.0
        """When it did, in seconds of the same clock."""
        self._lock, self._process = Lock(), os.getpid()

    def version(self) -> OpenVersion:
        """As `Reader.version`; looks at the pointer only where the last look is older than `refresh`."""
        opened = self._opened
        if opened is None:
            return self._look()
        silence = time.monotonic() - self._looked
        if silence < self._refresh:
            return opened
        thread = self._behind()
        if silence >= _SILENCE * self._refresh:
            thread.join(max(0.0, self._began + _WAIT_SECONDS - time.monotonic()))
        return self._opened or self._look()

    def expire(self) -> None:
        """Look now. Where that fails, what was just published stays published, and is seen a little later."""
        if self._opened is not None:
            try:
                self._look()
            except LakeflowError as error:
                self._failed(error)

    def fetch(self) -> None:
        """Fetch and map every shard, now and of each later version."""
        self._everything = True
        for _ in self.version().shards:
            pass

    def _behind(self) -> Thread:
        thread = self._thread
        if thread is None or not thread.is_alive():  # a child of a fork has none
            self._began = time.monotonic()
            thread = self._thread = Thread(target=self._look_behind, name="lakeflow-cache", daemon=True)
            thread.start()
        return thread

    def _look_behind(self) -> None:
        try:
            self._look()
        except NotFoundError:
            self._opened = None  # the cache is gone, and the next request says so
        except LakeflowError as error:
            self._failed(error)

    def _failed(self, error: LakeflowError) -> None:
        if not self._failing:
            _log.warning("Cache %s goes on with the version that it has: %s", self._shelf.uri, error)
        self._failing = True

    def _look(self) -> OpenVersion:
        if self._process != os.getpid():  # the parent's lock may have been held when it forked
            self._lock, self._process = Lock(), os.getpid()
        asked = time.monotonic()
        with self._lock:
            if self._opened is not None and self._looked > asked:
                return self._opened  # another thread has looked, from begin to end, while this one waited
            began = time.monotonic()
            try:
                return self._seen()
            finally:
                self._looked = began

    def _seen(self) -> OpenVersion:
        before = self._opened
        if before is not None and not self._shelf.has_changed(self._tag):
            self._failing = False
            return before
        tag, opened = read_consistently(self._shelf.read_pointer, self._open)
        if before is not None and opened.id == before.id:
            opened = before
        elif self._everything:
            list(opened.shards)
        elif before is not None and isinstance(opened.shards, ObjectShards) and isinstance(before.shards, ObjectShards):
            opened.shards.follow(before.shards)
        self._tag, self._opened = tag, opened
        self._failing = False
        return opened

    def _open(self, pointer: Pointer | None) -> tuple[str, OpenVersion]:
        if pointer is None:
            raise never_published(self._shelf)
        return str(pointer.stamp), open_current(self._shelf, pointer)
