"""Answers and errors as S3 words them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from benchmarks.s3like.blob import Blob

__all__ = ["Answer", "S3Error", "json_answer", "xml"]

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

# Code -> status and message, from S3's list of error responses.
_ERRORS = {
    "AccessDenied": (403, "Access Denied"),
    "AuthorizationHeaderMalformed": (400, "The authorization header is malformed; the region is wrong."),
    "BucketAlreadyOwnedByYou": (409, "The bucket that you tried to create already exists, and you own it."),
    "ExpiredToken": (403, "The provided token has expired."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (403, "The access key ID that you provided does not exist in our records."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidPart": (400, "One or more of the specified parts could not be found."),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "MalformedXML": (400, "The XML that you provided was not well formed."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The specified multipart upload does not exist."),
    "NotImplemented": (501, "A header that you provided implies functionality that is not implemented."),
    "PreconditionFailed": (412, "At least one of the preconditions that you specified did not hold."),
    "SlowDown": (503, "Please reduce your request rate."),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers, and a body: `body`, or `length` bytes of `blob` from `start`."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    blob: Blob | None = None
    start: int = 0
    length: int = 0

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.length if self.blob is not None else len(self.body)


class S3Error(Exception):
    """An error with a code that S3 has."""

    def __init__(self, code: str, resource: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(code, resource)
        self.code = code
        self.resource = resource
        self.headers = headers or {}

    def answer(self) -> Answer:
        """As it goes over the wire."""
        status, message = _ERRORS[self.code]
        body = (
            f"<Error><Code>{self.code}</Code><Message>{escape(message)}</Message>"
            f"<Resource>{escape(self.resource)}</Resource><RequestId>s3like</RequestId></Error>"
        )
        return Answer(status, {"Content-Type": "application/xml", **self.headers}, xml(body))


def xml(body: str) -> bytes:
    """A document; `body` is one element, which gets S3's namespace unless it is an error."""
    if not body.startswith("<Error>"):
        name, rest = body[1:].split(">", 1)
        body = f'<{name} xmlns="{_NAMESPACE}">{rest}'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()


def json_answer(text: str) -> Answer:
    """For the control path."""
    return Answer(200, {"Content-Type": "application/json"}, text.encode())
