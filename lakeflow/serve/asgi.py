"""`app(root)`: caches as an ASGI application, to be served alone or mounted in another one.

Routes, all JSON:

    GET  /healthz
    GET  /v1/caches/{name}
    GET  /v1/caches/{name}/{key}          the key is the rest of the path, percent-encoded; slashes may stay
    POST /v1/caches/{name}:batchGet       {"keys": [...]}

Look-ups run in the event loop: one takes tens of microseconds where its pages are in memory, no more
than a hand-over to a thread, and a batch of 10,000 keys some tenths of a second. A page that has to come from disk
holds the loop up for as long as the disk takes. More cores, or slow disks: run more processes.

It is written to ASGI 3.0 by hand: four routes are less than a framework would add.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from lakeflow.cache.layout import CacheFolder
from lakeflow.serve.answer import Answer, RequestError, of_exception
from lakeflow.serve.endpoints import BODY_BYTES, describe, get_many_rows, get_row, health
from lakeflow.serve.opened import Caches

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["app"]

_CACHES = b"/v1/caches/"
_BATCH_GET = ":batchGet"
_READS = ("GET", "HEAD")


def app(root: str | os.PathLike[str] | None = None) -> Application:
    """Return an ASGI application over the caches of a folder.

    It has no authentication, and shows every cache of the folder to whoever reaches it.

    Args:
        root: The folder of caches; default `$LAKEFLOW_HOME/caches`, else `./caches`. It need not exist yet.

    Returns:
        An ASGI 3.0 callable for `http` and `lifespan` scopes.

    Raises:
        ConfigError: the root isn't a local folder.

    Example:
        >>> import tempfile
        >>> application = app(tempfile.mkdtemp())
    """
    caches = Caches(str(CacheFolder.at(root, "any").root))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await _respond(scope["method"], await _answer(caches, scope, receive), send)

    return application


async def _answer(caches: Caches, scope: Scope, receive: Receive) -> Answer:
    try:
        return await _route(caches, scope, receive)
    except Exception as error:  # noqa: BLE001  (the outermost frame: whatever it is becomes a JSON error)
        return of_exception(error)


async def _route(caches: Caches, scope: Scope, receive: Receive) -> Answer:
    path, method = _path(scope), scope["method"]
    if path == b"/healthz":
        _allow(method, *_READS)
        return health()
    if not path.startswith(_CACHES) or path == _CACHES:
        message = "There is nothing at this path; see /v1/caches/{name}/{key}."
        raise RequestError(HTTPStatus.NOT_FOUND, message)
    raw_name, slash, raw_key = path.removeprefix(_CACHES).partition(b"/")
    name = unquote_to_bytes(raw_name).decode(errors="backslashreplace")
    if not slash and name.endswith(_BATCH_GET):
        _allow(method, "POST")
        return get_many_rows(caches, name.removesuffix(_BATCH_GET), await _body(scope, receive))
    _allow(method, *_READS)
    known_tags = _header(scope, b"if-none-match")
    if slash:
        return get_row(caches, name, unquote_to_bytes(raw_key), known_tags)
    return describe(caches, name, known_tags)


def _path(scope: Scope) -> bytes:
    """Return the path below the mount point, still percent-encoded: an encoded slash is part of a key."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    mounted_at = quote(scope.get("root_path", "")).encode().rstrip(b"/")
    below = raw.removeprefix(mounted_at) if raw.startswith(mounted_at + b"/") else raw
    return below.partition(b"?")[0]


def _allow(method: str, *methods: str) -> None:
    if method not in methods:
        allowed = ", ".join(methods)
        message = f"{method} can't be used here, {allowed} can."
        raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, message, {"allow": allowed})


def _header(scope: Scope, name: bytes) -> str | None:
    """Return a header, its lines joined by commas, or None."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return ", ".join(values) if values else None


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Read the body, up to its limit, whatever length its sender claims."""
    too_large = RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {BODY_BYTES} bytes.")
    claimed = _header(scope, b"content-length") or ""
    if claimed.isdecimal() and (len(claimed) > len(str(BODY_BYTES)) or int(claimed) > BODY_BYTES):
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(HTTPStatus.BAD_REQUEST, "The body ended before it was whole.")
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


async def _respond(method: str, answer: Answer, send: Send) -> None:
    headers = {"content-type": "application/json", "x-content-type-options": "nosniff", **answer.headers}
    if answer.status is HTTPStatus.NOT_MODIFIED:
        del headers["content-type"]
    else:
        headers["content-length"] = str(len(answer.body))
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status.value, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})


async def _live(receive: Receive, send: Send) -> None:
    """Take part in the server's start and end: there is nothing to prepare or to flush."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
