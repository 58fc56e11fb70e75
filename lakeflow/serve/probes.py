"""What an orchestrator asks: whether the process lives, and whether to send it requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from lakeflow.jsonable import to_json
from lakeflow.serve.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lakeflow.serve.opened import Caches

__all__ = ["DRAINING", "health", "readiness"]

DRAINING = "draining"
"""The file that says, to all processes of a server, that it is about to end."""


def health() -> Answer:
    """Say that the process answers; it looks at no cache."""
    return Answer.of_json(to_json({"status": "ok"}))


def readiness(caches: Caches, required: Sequence[str], draining: Path | None) -> Answer:
    """Say whether requests are welcome: 503 where a required cache can't be opened, or the server is about to end.

    Names and reasons are in the log alone: probes carry no token.

    Args:
        caches: Where to look.
        required: Names.
        draining: A file that is there when the server is about to end.
    """
    if draining is not None and draining.exists():
        return _not_ready("The server is about to end.")
    failed = caches.unready(required)
    if failed:
        return _not_ready(f"{failed} of {len(required)} caches can't be opened; the server's log says which.")
    return Answer.of_json(to_json({"status": "ready"}))


def _not_ready(message: str) -> Answer:
    return Answer.of_error(HTTPStatus.SERVICE_UNAVAILABLE, "NotReady", message)
