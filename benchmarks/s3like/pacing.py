"""How fast bytes leave: one pace for each connection, held by the kernel, and one for all, held here."""

from __future__ import annotations

import socket
import struct
import time
from threading import Lock

__all__ = ["SharedPace", "pace_connection"]

SO_MAX_PACING_RATE = 47  # linux/socket.h; Python has no name for it
_UNLIMITED = 0xFFFF_FFFF
# Credit for time that wasn't used: a thread that wakes a little late must not slow all of them.
_CREDIT_SECONDS = 0.005


def pace_connection(connection: socket.socket, bytes_s: int) -> None:
    """Let the kernel send at most this many bytes per second; 0 is no limit."""
    connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("I", bytes_s or _UNLIMITED))


class SharedPace:
    """A virtual clock: each chunk of any connection books the next stretch of the link."""

    def __init__(self, bytes_s: int) -> None:
        self._bytes_s = bytes_s
        self._lock = Lock()
        self._free_at = 0.0

    def take(self, size: int) -> None:
        """Wait until `size` bytes may be sent."""
        if not self._bytes_s:
            return
        with self._lock:
            now = time.monotonic()
            starts = max(self._free_at, now - _CREDIT_SECONDS)
            self._free_at = starts + size / self._bytes_s
        if starts > now:
            time.sleep(starts - now)
