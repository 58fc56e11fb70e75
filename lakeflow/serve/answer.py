"""What a request is answered with: a status, JSON and headers; and the status that fits each error."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from http import HTTPStatus

from lakeflow.jsonable import to_json
from lakeflow_io.errors import InputError, LakeflowError, NotFoundError, StoreError, UnsupportedError

__all__ = ["Answer", "RequestError", "of_exception"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, whole."""

    status: HTTPStatus
    body: bytes = b""
    """JSON in UTF-8, unless the headers say otherwise; empty where the status has no content."""
    headers: dict[str, str] = field(default_factory=dict)
    """In lower case, as ASGI wants them."""

    @classmethod
    def of_json(cls, text: str, headers: dict[str, str] | None = None) -> Answer:
        """Answer with JSON, which nobody keeps unless `headers` say otherwise."""
        return cls(HTTPStatus.OK, text.encode(), headers or {"cache-control": "no-store"})

    @classmethod
    def of_error(cls, status: HTTPStatus, kind: str, message: str, hint: str | None = None) -> Answer:
        """Describe a failure: `{"error": {"status", "type", "message", "hint"}}`."""
        error = {"status": status.value, "type": kind, "message": message, "hint": hint}
        return cls(status, to_json({"error": error}).encode(errors="backslashreplace"))

    def without_body(self) -> Answer:
        """Return what HEAD is answered: the length is said, the body isn't sent."""
        length = {} if self.status is HTTPStatus.NOT_MODIFIED else {"content-length": str(len(self.body))}
        return Answer(self.status, b"", {**length, **self.headers})


class RequestError(Exception):
    """A request that HTTP's own rules refuse; never leaves the application.

    Args:
        status: 4xx.
        message: What is wrong, with the limit where there is one.
        headers: What the status asks for, such as `allow`.
    """

    def __init__(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def of_exception(error: Exception) -> Answer:
    """Return the response for anything that was raised.

    A mistake of the caller is explained to the caller. A failure on our side is logged, with what it
    says of folders and files; the caller learns its kind alone.
    """
    kind = type(error).__name__
    if isinstance(error, RequestError):
        answer = Answer.of_error(error.status, kind, error.message)
        return Answer(answer.status, answer.body, error.headers)
    if isinstance(error, NotFoundError):
        return Answer.of_error(HTTPStatus.NOT_FOUND, kind, error.message, error.hint)
    if isinstance(error, InputError):
        return Answer.of_error(HTTPStatus.BAD_REQUEST, kind, error.message, error.hint)
    if isinstance(error, UnsupportedError):
        return Answer.of_error(HTTPStatus.NOT_IMPLEMENTED, kind, error.message, error.hint)
    _log.error("A request failed: %s", error, exc_info=error)
    if isinstance(error, StoreError):
        return Answer.of_error(
            HTTPStatus.SERVICE_UNAVAILABLE, kind, "The cache's files can't be read now.", "try later."
        )
    shown = kind if isinstance(error, LakeflowError) else "InternalError"
    return Answer.of_error(HTTPStatus.INTERNAL_SERVER_ERROR, shown, "The server failed; its log says how.")
