"""A file that is written front to back into a store: in parts, in bounded memory, all or nothing.

What fits in one part is one PUT when the file is closed. Anything longer becomes a multipart
upload that a thread of its own feeds: while it has enough parts under way, `write` waits. Nothing is
visible before `close` has returned, and after a failure or `abort` no part stays behind.
"""

from __future__ import annotations

import sys
from collections import deque
from threading import Condition, Thread
from typing import TYPE_CHECKING, Protocol, Self

from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["IN_FLIGHT", "PART_BYTES", "Sender", "Upload"]

PART_BYTES = 8 * 1024 * 1024
# S3's limit, and Google's; Azure takes five times as many (S3 user guide, "Multipart upload limits").
# With parts of one size a file has 80 GB at most, a hundred times what a table's files have.
_MAX_PARTS = 10_000
# Parts that are on their way at once. Beside them one is waiting and one is being filled.
IN_FLIGHT = 4


class Sender(Protocol):
    """How a store takes the bytes of one object."""

    def whole(self, data: bytearray) -> None:
        """All at once."""
        ...

    def parts(self, parts: Iterator[bytearray]) -> None:
        """One after the other; when the iterator raises, undo everything and raise the same."""
        ...


class _AbortedError(Exception):
    """Raised into the store's own upload, so that it undoes it; never leaves this module."""


class _Queue:
    """The parts between the writer and the thread that sends them."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._parts: deque[bytearray] = deque()
        self._ended = False
        self._aborted = False
        self.failure: BaseException | None = None
        self._done = False

    def put(self, part: bytearray) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._done or not self._parts)
            if not self._done:
                self._parts.append(part)
            self._changed.notify_all()

    def end(self, *, aborted: bool = False) -> None:
        with self._changed:
            self._ended, self._aborted = True, self._aborted or aborted
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytearray]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._parts or self._ended)
                if self._aborted:
                    raise _AbortedError
                if not self._parts:
                    return
                part = self._parts.popleft()
                self._changed.notify_all()
            yield part

    def send(self, sender: Sender) -> None:
        try:
            sender.parts(iter(self))
        except _AbortedError:
            pass
        except BaseException as error:  # noqa: BLE001  (raised again where the file is written)
            self.failure = error
        finally:
            with self._changed:
                self._done = True
                self._parts.clear()
                self._changed.notify_all()


class Upload:
    """A binary file as `pyarrow.parquet.ParquetWriter` takes one; made by `Transport.open_output`.

    Args:
        uri: The object.
        sender: How its store takes it.
        part_size: Bytes of each part but the last.

    As a context manager it is closed at the end, and aborted where the block raises. One that is
    forgotten is aborted. It belongs to one thread at a time.
    """

    def __init__(self, uri: str, sender: Sender, part_size: int = PART_BYTES) -> None:
        self.uri = uri
        self.closed = False
        self._sender = sender
        self._part_size = part_size
        self._number = 0
        self._filled = bytearray()
        self._size = 0
        self._failure: BaseException | None = None
        self._queue: _Queue | None = None
        self._thread: Thread | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes over; waits while enough is under way.

        Returns:
            How many bytes were taken: all.

        Raises:
            StoreError: what was sent before didn't arrive; the upload is undone. Said again by each write after it.
            InputError: the file is closed, or grew beyond 10,000 parts.
        """
        if self.closed:
            raise self._failure or InputError(f"{self.uri} is closed.", "write before close().")
        view = memoryview(data).cast("B")
        for start in range(0, len(view), PART_BYTES):
            self._fill(view[start : start + PART_BYTES])
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def flush(self) -> None:
        """Nothing: bytes are sent a part at a time."""

    def readable(self) -> bool:
        """No."""
        return False

    def seekable(self) -> bool:
        """No."""
        return False

    def writable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Make the object visible, whole; a second time does nothing.

        Raises:
            StoreError: a part didn't arrive; nothing is visible.
        """
        if self.closed:
            return
        self.closed = True
        if self._queue is None:
            self._sender.whole(self._filled)
            return
        if self._filled:
            self._queue.put(self._filled)
        self._finish(self._queue)
        self._raise_failure(self._queue)

    def abort(self) -> None:
        """Leave nothing behind; after `close` it does nothing."""
        if not self.closed:
            self.closed = True
            if self._queue is not None:
                self._finish(self._queue, aborted=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # Not made, where the store refused it.
        # And when Python ends, the thread is gone that would be waited for.
        if not getattr(self, "closed", True) and not sys.is_finalizing():
            self.abort()

    def _fill(self, view: memoryview) -> None:
        while len(view):
            room = self._part_size - len(self._filled)
            if room == 0:
                self._ship()
                continue
            self._filled += view[:room]
            self._size += len(view[:room])
            view = view[room:]

    def _ship(self) -> None:
        """Hand a full part over; only when more bytes come, so that one part alone is a plain PUT."""
        if self._number + 2 > _MAX_PARTS:
            self.abort()
            raise InputError(
                f"{self.uri} grew beyond {self._size} bytes, which is all that {_MAX_PARTS} parts hold.",
                "write several files.",
            )
        if self._queue is None:
            self._queue = _Queue()
            self._thread = Thread(target=self._queue.send, args=(self._sender,), name="lakeflow-upload", daemon=True)
            self._thread.start()
        self._queue.put(self._filled)
        self._filled = bytearray()
        self._number += 1
        self._raise_failure(self._queue)

    def _raise_failure(self, queue: _Queue) -> None:
        if queue.failure is not None:
            self._failure = queue.failure
            self.abort()
            raise self._failure

    def _finish(self, queue: _Queue, *, aborted: bool = False) -> None:
        queue.end(aborted=aborted)
        if self._thread is not None:
            self._thread.join()
