"""Who is still sending when the answer goes out gets to read it.

A server that closes a connection from which bytes are still to be read makes the kernel reset it, and
a reset throws away at the client what it hasn't read yet: the 413 that says why. RFC 9112, section 9.6,
asks servers to go on reading for a while; nginx calls that a lingering close. Here the rest of a body
is read behind the answer and dropped, so that the connection can be used again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from lakeflow.serve.asgi import Application, Receive, Scope, Send

__all__ = ["lingering"]

_BYTES = 64 << 20
"""What is read of a body after its answer; who sends more is cut off."""
_SECONDS = 5.0
"""For how long in all: what nginx waits for a client's next bytes."""


def lingering(application: Application) -> Application:
    """Return an application behind whose answers what is left of the request's body is read.

    For servers on asyncio that go on reading while the application runs, as granian does.

    Args:
        application: ASGI 3.0; when it returns, its answer has been sent.
    """

    async def lingers(scope: Scope, receive: Receive, send: Send) -> None:
        left, asked = scope["type"] == "http" and _has_body(scope), False

        async def noted() -> MutableMapping[str, Any]:
            nonlocal left, asked
            asked = True
            message = await receive()
            left = message.get("more_body", False)
            return message

        await application(scope, noted, send)
        # Who asked for leave to send and was answered before it came doesn't send.
        if left and (asked or not _asks_for_leave(scope)):
            await _drop(receive)

    return lingers


async def _drop(receive: Receive) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(_SECONDS):
            while dropped <= _BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _asks_for_leave(scope: Scope) -> bool:
    return any(name == b"expect" for name, _ in scope["headers"])
