"""Sends commands to all nodes at once, as much as their windows let through, and reads what they answer.

Each command may be sent again: it writes the same keys with the same values. So one that is refused for a reason
that passes (no memory, a slot that moves, a script that holds the server) waits and is sent again.
"""

from __future__ import annotations

import selectors
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from lakeflow.cache.valkey.connection import ANSWER_SECONDS, Connection
from lakeflow.cache.valkey.refusals import FULL, LATER, MOVED, Refusal, error_of, out_of_reach
from lakeflow.cache.valkey.window import LEAST_BYTES, Window
from lakeflow_io.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.cache.valkey.address import Address
    from lakeflow.cache.valkey.frames import Frame
    from lakeflow.cache.valkey.nodes import Nodes

__all__ = ["Pump"]

_REFUSED_SECONDS = 5.0
"""How long a full server is asked again: what was unlinked is freed by a thread of its own, and keys expire."""
_LATER_SECONDS = 30.0
_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ_BYTES = 1 << 16


class Pump:
    """Commands on their way; a context manager that drops what hasn't been answered at its end.

    Args:
        nodes: Where they go.
        beat: Called often while it sends or waits, with the first bucket of the oldest command that hasn't been
            acknowledged; None where all have.
    """

    def __init__(self, nodes: Nodes, beat: Callable[[int | None], None]) -> None:
        self._nodes, self._beat = nodes, beat
        self._lanes: dict[Address, _Lane] = {}
        self._selector = selectors.DefaultSelector()
        self._open: dict[Frame, None] = {}
        """What hasn't been acknowledged, in order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for lane in self._lanes.values():
            lane.connection.close()

    @property
    def command_bytes(self) -> int:
        """How large commands should be: as the slowest node bears."""
        return min((lane.window.command_bytes for lane in self._lanes.values()), default=LEAST_BYTES)

    def send(self, frame: Frame) -> None:
        """Take a command over; returns when its node's window has room for it.

        Raises:
            StoreFullError: a server's memory is full, and stays so.
            StoreError: a server can't be reached, refuses, or answers nothing for long.
        """
        self._open[frame] = None
        lane = self._lane(frame)
        while lane.held and lane.held + frame.size > lane.window.bytes:
            self._turn(lane.wait(time.monotonic()))
            lane = self._lane(frame)
        lane.add(frame)
        self._turn(0)

    def drain(self) -> None:
        """Wait until all commands have been acknowledged.

        Raises:
            StoreFullError, StoreError: as `send`.
        """
        while self._open:
            now = time.monotonic()
            self._turn(min(lane.wait(now) for lane in self._lanes.values()))

    def _lane(self, frame: Frame) -> _Lane:
        owner = self._nodes.owner(frame.key)
        lane = self._lanes.get(owner)
        if lane is None:
            lane = self._lanes[owner] = _Lane(Connection(owner))
            self._selector.register(lane.connection.socket, selectors.EVENT_READ, lane)
        return lane

    def _turn(self, timeout: float) -> None:
        """Move what can be moved; wait up to `timeout` seconds where nothing can."""
        oldest = next(iter(self._open), None)
        self._beat(None if oldest is None else oldest.first)
        now = time.monotonic()
        for lane in self._lanes.values():
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.writable(now) else 0)
            self._selector.modify(lane.connection.socket, events, lane)
        for key, events in self._selector.select(timeout):
            ready: _Lane = key.data
            if events & selectors.EVENT_WRITE:
                ready.write()
            if events & selectors.EVENT_READ:
                self._take(ready, ready.read())
        for lane in self._lanes.values():
            lane.check()

    def _take(self, lane: _Lane, answers: list[bytes]) -> None:
        now = time.monotonic()
        for answer in answers:
            frame = lane.answered()
            if answer == b"+OK":
                lane.window.answered(frame.at, now)
                lane.refused_since = 0.0
                del self._open[frame]
            else:
                self._refused(lane, frame, Refusal.of(answer[1:]), now)

    def _refused(self, lane: _Lane, frame: Frame, refusal: Refusal, now: float) -> None:
        """Send a command again, later or elsewhere; or give up."""
        patience = _REFUSED_SECONDS if refusal.code == FULL else _LATER_SECONDS
        known = refusal.code == FULL or refusal.code in LATER | MOVED
        lane.refused_since = lane.refused_since or now
        if not known or now - lane.refused_since > patience:
            raise error_of(refusal, lane.connection.address.shown)
        lane.resume_at = lane.window.refused(now)
        frame.sent = 0
        if refusal.code in MOVED:
            self._nodes.look_again()
            lane = self._lane(frame)
        lane.add(frame, first=True)


class _Lane:
    """The connection to one node, and what is on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.socket.setblocking(False)  # noqa: FBT003  (its name says what)
        self.window = Window()
        self.held = 0
        """Bytes that are waiting or on their way."""
        self.resume_at = 0.0
        self.refused_since = 0.0
        self._waiting: deque[Frame] = deque()
        self._unanswered: deque[Frame] = deque()
        self._begun = False
        """Whether the first that is waiting has to be sent to its end: bytes of it may have gone, or be held by TLS."""
        self._rest = b""
        self._moved_at = time.monotonic()

    def add(self, frame: Frame, *, first: bool = False) -> None:
        if not self.held:
            self._moved_at = time.monotonic()
        self.held += frame.size
        if first:
            self._waiting.insert(1 if self._begun else 0, frame)
        else:
            self._waiting.append(frame)

    def answered(self) -> Frame:
        if not self._unanswered:
            raise out_of_reach(self.connection.address.shown, EOFError("it answers what wasn't asked."))
        frame = self._unanswered.popleft()
        self.held -= frame.size
        return frame

    def writable(self, now: float) -> bool:
        """Whether anything may be sent now; what has begun is always sent to its end."""
        return self._begun or (bool(self._waiting) and now >= self.resume_at)

    def wait(self, now: float) -> float:
        """Seconds after which to look again."""
        return min(max(self.resume_at - now, 0.001), 1.0) if self._waiting and now < self.resume_at else 1.0

    def write(self) -> None:
        try:
            while self.writable(time.monotonic()):
                frame = self._waiting[0]
                at = frame.sent
                self._begun = True
                for piece in frame.pieces:
                    if at < len(piece):
                        frame.sent += self.connection.socket.send(memoryview(piece)[at:])
                        self._moved_at = time.monotonic()
                        break
                    at -= len(piece)
                if frame.sent == frame.size:
                    frame.at = self._moved_at
                    self._unanswered.append(self._waiting.popleft())
                    self._begun = False
        except _BLOCKED:
            return
        except OSError as error:
            raise out_of_reach(self.connection.address.shown, error) from error

    def read(self) -> list[bytes]:
        """Return the lines that have come."""
        try:
            while True:
                data = self.connection.socket.recv(_READ_BYTES)
                if not data:
                    raise out_of_reach(self.connection.address.shown, EOFError("it closed the connection."))
                self._moved_at = time.monotonic()
                self._rest += data
        except _BLOCKED:
            *lines, self._rest = self._rest.split(b"\r\n")
            return lines
        except OSError as error:
            raise out_of_reach(self.connection.address.shown, error) from error

    def check(self) -> None:
        """Notice a connection that stands still."""
        if self._waiting and time.monotonic() < self.resume_at:
            self._moved_at = time.monotonic()
        if self.held and time.monotonic() - self._moved_at > ANSWER_SECONDS:
            shown = self.connection.address.shown
            message = f"{shown} has answered nothing for {ANSWER_SECONDS} seconds."
            raise StoreError(message, "see whether it is overloaded or the network is down, then push again.")
