"""What an orchestrator asks: whether the process lives, and whether to send it requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from lakeflow.jsonable import to_json
from lakeflow.serve.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow.serve.opened import Caches

__all__ = ["health", "readiness"]


def health() -> Answer:
    """Say that the process answers; it looks at no cache."""
    return Answer.of_json(to_json({"status": "ok"}))


def readiness(caches: Caches, required: Sequence[str]) -> Answer:
    """Say whether requests are welcome: 503 where a required cache can't be opened.

    Names and reasons are in the log alone: probes carry no token.
    """
    failed = caches.unready(required)
    if failed:
        message = f"{failed} of {len(required)} caches can't be opened; the server's log says which."
        return Answer.of_error(HTTPStatus.SERVICE_UNAVAILABLE, "NotReady", message)
    return Answer.of_json(to_json({"status": "ready"}))
