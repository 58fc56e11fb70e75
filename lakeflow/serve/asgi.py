"""`app(root)`: caches as an ASGI application, to be served alone or mounted in another one.

Routes:

    GET  /                                the document as a page
    GET  /openapi.json                    what can be asked
    GET  /healthz                         the process lives
    GET  /readyz                          the caches that were named can be opened
    GET  /metrics                         for Prometheus
    GET  /v1/caches/{name}
    GET  /v1/caches/{name}/{key}          the key is the rest of the path, percent-encoded; slashes may stay
    POST /v1/caches/{name}:batchGet       {"keys": [...]}, or Arrow; answered with JSON, or Arrow

Look-ups in local folders run in the event loop: one takes tens of microseconds where its pages are in memory, no more
than a hand-over to a thread, and a batch of 10,000 keys some tenths of a second. A page that has to come from disk
holds the loop up for as long as the disk takes. More cores, or slow disks: run more processes. Look-ups in caches
on a store run in threads, as they may have to fetch a shard.

It is written to ASGI 3.0 by hand: a few routes are less than a framework would add.
"""

from __future__ import annotations

import time
from asyncio import to_thread
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeflow.cache.shelves import absolute_root, check_name
from lakeflow.jsonable import to_json
from lakeflow.serve.access import log_request
from lakeflow.serve.answer import Answer, of_exception
from lakeflow.serve.batch import get_many_rows
from lakeflow.serve.bearer import Bearer
from lakeflow.serve.counters import Counters
from lakeflow.serve.endpoints import describe, get_row
from lakeflow.serve.media import sent_form, wanted_form
from lakeflow.serve.metrics import metrics
from lakeflow.serve.noted import Noted
from lakeflow.serve.openapi import document
from lakeflow.serve.opened import Caches
from lakeflow.serve.page import page
from lakeflow.serve.probes import DRAINING, health, readiness
from lakeflow.serve.request import check_headers, header, read_body
from lakeflow.serve.routes import Route, asked

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["app"]


def app(
    root: str | os.PathLike[str] | None = None,
    *,
    require: Sequence[str] = (),
    token: str | None = None,
    shared: str | os.PathLike[str] | None = None,
    storage: Mapping[str, str] | None = None,
) -> Application:
    """Return an ASGI application over the caches of a folder or of a store, for servers on asyncio.

    Without a token it shows every cache there to whoever reaches it.

    Args:
        root: The folder of caches, which need not exist yet, or a URI as `Cache` takes it; default
            `$LAKEFLOW_HOME/caches`, else `./caches`.
        require: Names of caches without which `/readyz` says 503.
        token: What requests must carry as `authorization: Bearer TOKEN`, but for `/`, `/openapi.json`,
            `/healthz` and `/readyz`.
        shared: A folder, empty at the start, in which all worker processes of one server count, so that each of
            them can tell `/metrics` of all; a file `draining` in it turns all `/readyz` to 503. Without it,
            each process counts for itself.
        storage: Storage properties, as `Cache` takes them.

    Returns:
        An ASGI 3.0 callable for `http` and `lifespan` scopes.

    Raises:
        ConfigError: caches can't lie at the root, or the token is too short.
        InputError: a name can't name a cache.

    Example:
        >>> import tempfile
        >>> application = app(tempfile.mkdtemp())

        In an application of FastAPI or Starlette: `outer.mount("/caches", application)`.
    """
    service = _Service(Caches(absolute_root(root), storage), require, token, Path(shared) if shared else None)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await service.respond(scope, receive, send)

    return application


class _Service:
    """What all requests share: the opened caches, the counters, and whether the server is about to end."""

    def __init__(self, caches: Caches, require: Sequence[str], token: str | None, shared: Path | None) -> None:
        self._caches = caches
        self._required = [check_name(name) for name in require]
        self._bearer = Bearer(token) if token is not None else None
        self._counters = Counters(shared)
        self._draining = shared / DRAINING if shared else None

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; it is noted before its client can know the answer, and ask for the count."""
        noted, start = Noted(), time.perf_counter()
        try:
            answer = await self._answer(scope, receive, noted)
        except Exception as error:  # noqa: BLE001  (the outermost frame: whatever it is becomes a JSON error)
            answer = of_exception(error)
        seconds, method = time.perf_counter() - start, scope["method"]
        if method == "HEAD":
            answer = answer.without_body()
        self._counters.count(noted, answer.status, seconds)
        log_request(noted, method, answer.status, seconds, len(answer.body))
        await _send(answer, send)

    async def _answer(self, scope: Scope, receive: Receive, noted: Noted) -> Answer:
        where = asked(scope)
        noted.route = where.route
        check_headers(scope)
        if self._bearer is not None:
            self._bearer.check(where.route, header(scope, b"authorization"))
        where.allow(scope["method"])
        caches, name, query = self._caches, where.name, scope.get("query_string", b"")
        match where.route:
            case Route.ROW:
                known = header(scope, b"if-none-match")
                return await self._looked_up(partial(get_row, caches, name, where.key, query, known, noted))
            case Route.BATCH:
                sent, wanted = sent_form(header(scope, b"content-type")), wanted_form(header(scope, b"accept"))
                body = await read_body(scope, receive)
                answer = partial(get_many_rows, caches, name, query, body, sent=sent, wanted=wanted, noted=noted)
                return await self._looked_up(answer)
            case Route.CACHE:
                known = header(scope, b"if-none-match")
                return await self._looked_up(partial(describe, caches, name, known, noted))
            case Route.READY:
                return await self._looked_up(partial(readiness, caches, self._required, self._draining))
            case Route.OPENAPI:
                return Answer.of_json(to_json(self._document(scope)))
            case Route.PAGE:
                return page(self._document(scope))
            case Route.METRICS:
                total = self._counters.total()
                return await self._looked_up(partial(metrics, total, caches, self._required))
            case _:
                return health()

    async def _looked_up(self, answer: Callable[[], Answer]) -> Answer:
        """Call what looks into caches: in a thread where it may wait for a store, at which others shouldn't."""
        return await to_thread(answer) if self._caches.is_remote else answer()

    def _document(self, scope: Scope) -> dict[str, Any]:
        return document(scope.get("root_path", ""), protected=self._bearer is not None)


async def _send(answer: Answer, send: Send) -> None:
    headers = {"x-content-type-options": "nosniff", **answer.headers}
    if answer.status is not HTTPStatus.NOT_MODIFIED:
        headers = {"content-type": "application/json", "content-length": str(len(answer.body)), **headers}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status.value, "headers": encoded})
    await send({"type": "http.response.body", "body": answer.body})


async def _live(receive: Receive, send: Send) -> None:
    """Take part in the server's start and end: there is nothing to prepare or to flush."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
