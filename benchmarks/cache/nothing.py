"""An ASGI service that does nothing: what is left is the server's and the generator's."""

from __future__ import annotations

from typing import Any

__all__ = ["service"]


async def service(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with the same few bytes."""
    del receive
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})
