"""What a server did, counted."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Any

__all__ = ["Counts"]


class Counts:
    """Counters that all threads share."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._verbs: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._sent = 0
        self._received = 0

    def request(self, verb: str) -> None:
        """One more request."""
        with self._lock:
            self._verbs[verb] += 1

    def fault(self, kind: str) -> None:
        """One more injected fault."""
        with self._lock:
            self._faults[kind] += 1

    def moved(self, sent: int = 0, received: int = 0) -> None:
        """Bytes of bodies that went out or came in."""
        with self._lock:
            self._sent += sent
            self._received += received

    def reset(self) -> None:
        """Begin at zero."""
        with self._lock:
            self._verbs.clear()
            self._faults.clear()
            self._sent = self._received = 0

    def as_dict(self) -> dict[str, Any]:
        """`requests`, `verbs`, `bytes_sent`, `bytes_received`, `faults`."""
        with self._lock:
            return {
                "requests": self._verbs.total(),
                "verbs": dict(self._verbs),
                "bytes_sent": self._sent,
                "bytes_received": self._received,
                "faults": dict(self._faults),
            }
