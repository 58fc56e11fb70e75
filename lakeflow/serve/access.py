"""The access log: one line of JSON for each request, by the logger `lakeflow.serve.access`.

No line holds a key, a token, an address or what else a client has written, but for the method.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakeflow.serve.noted import Noted

__all__ = ["log_request", "print_lines"]

_log = logging.getLogger(__name__)
_METHOD_CHARACTERS = 16
_STANDARD_OUTPUT = 1


def log_request(noted: Noted, method: str, status: int, seconds: float, size: int) -> None:
    """Log a request that was answered.

    Args:
        noted: What it was.
        method: As it was sent.
        status: Of the answer.
        seconds: From its head to its answer.
        size: Bytes of the answer's body, as it is sent.
    """
    if not _log.isEnabledFor(logging.INFO):
        return
    line = {
        "time": (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds"),
        "method": method[:_METHOD_CHARACTERS],
        "route": noted.route.value,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "bytes": size,
        "cache": noted.cache,
        "keys": noted.keys,
    }
    _log.info("%s", json.dumps(line))


def print_lines() -> None:
    """Print the access log of this process on standard output."""
    _log.setLevel(logging.INFO)
    _log.propagate = False
    _log.addHandler(_Lines())


class _Lines(logging.Handler):
    """Writes each line at once, so that those of several processes don't mix; who doesn't read them, misses them."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            os.write(_STANDARD_OUTPUT, f"{record.getMessage()}\n".encode())
