"""What a request brings besides its path: header lines and a body, each within its limit."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from lakeflow.serve.answer import RequestError
from lakeflow.serve.limits import BODY_BYTES, BODY_SECONDS, HEADER_BYTES

if TYPE_CHECKING:
    from lakeflow.serve.asgi import Receive, Scope

__all__ = ["check_headers", "header", "read_body"]


def check_headers(scope: Scope) -> None:
    """Refuse more header lines than fit.

    Raises:
        RequestError: 431.
    """
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
        message = f"The headers have more than {HEADER_BYTES} bytes together."
        raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header, its lines joined by commas, or None."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return ", ".join(values) if values else None


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Read the body, up to its limit, whatever length its sender claims.

    Raises:
        RequestError: it is compressed, too large, takes too long, or ends before it is whole.
    """
    if (header(scope, b"content-encoding") or "identity").strip().lower() != "identity":
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "A body is sent as it is, without content-encoding.")
    claimed = header(scope, b"content-length") or ""
    if claimed.isdecimal() and (len(claimed) > len(str(BODY_BYTES)) or int(claimed) > BODY_BYTES):
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError:
        message = f"The body wasn't whole after {BODY_SECONDS} seconds."
        raise RequestError(HTTPStatus.REQUEST_TIMEOUT, message, {"connection": "close"}) from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(HTTPStatus.BAD_REQUEST, "The body ended before it was whole.")
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return bytes(body)


def _too_large() -> RequestError:
    return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {BODY_BYTES} bytes.")
