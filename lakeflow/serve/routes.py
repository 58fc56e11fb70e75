"""Which route a path is, and the cache and key in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from lakeflow.serve.answer import RequestError
from lakeflow.serve.limits import PATH_BYTES

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["Asked", "Route", "asked"]

_CACHES = b"/v1/caches/"
_BATCH_GET = ":batchGet"
_READS = ("GET", "HEAD")


class Route(Enum):
    """What can be asked, by the template of its path."""

    ROW = "/v1/caches/{name}/{key}"
    BATCH = "/v1/caches/{name}:batchGet"
    CACHE = "/v1/caches/{name}"
    HEALTH = "/healthz"
    READY = "/readyz"
    METRICS = "/metrics"
    OPENAPI = "/openapi.json"
    PAGE = "/"
    OTHER = "other"
    """Nothing is there."""


_WITHOUT_NAMES = (Route.HEALTH, Route.READY, Route.METRICS, Route.OPENAPI, Route.PAGE)
_FIXED = {route.value.encode(): route for route in _WITHOUT_NAMES}


@dataclass(frozen=True, slots=True)
class Asked:
    """A path, taken apart."""

    route: Route
    name: str = ""
    """Of a cache, unchecked."""
    key: bytes = b""
    """Percent-encoded; slashes may be in it."""

    def allow(self, method: str) -> None:
        """Refuse a method that the route doesn't have.

        Raises:
            RequestError: 404 where there is no route, else 405.
        """
        if self.route is Route.OTHER:
            message = "There is nothing at this path; /openapi.json says where there is something."
            raise RequestError(HTTPStatus.NOT_FOUND, message)
        methods = ("POST",) if self.route is Route.BATCH else _READS
        if method not in methods:
            allowed = ", ".join(methods)
            message = f"{method[:20]} can't be used here, {allowed} can."
            raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED, message, {"allow": allowed})


def asked(scope: MutableMapping[str, Any]) -> Asked:
    """Take the path of an ASGI scope apart.

    Raises:
        RequestError: it is too long.
    """
    path = _below_mount(scope)
    if len(path) > PATH_BYTES:
        raise RequestError(HTTPStatus.REQUEST_URI_TOO_LONG, f"A path has at most {PATH_BYTES} bytes.")
    if not path.startswith(_CACHES) or path == _CACHES:
        return Asked(_FIXED.get(path, Route.OTHER))
    raw_name, slash, key = path.removeprefix(_CACHES).partition(b"/")
    name = unquote_to_bytes(raw_name).decode(errors="backslashreplace")
    if slash:
        return Asked(Route.ROW, name, key)
    if name.endswith(_BATCH_GET):
        return Asked(Route.BATCH, name.removesuffix(_BATCH_GET))
    return Asked(Route.CACHE, name)


def _below_mount(scope: MutableMapping[str, Any]) -> bytes:
    """Return the path below the mount point, still percent-encoded: an encoded slash is part of a key."""
    # Without the raw path, a comma in a value can't be told from one between values.
    raw: bytes = scope.get("raw_path") or quote(scope["path"], safe="/,").encode()
    mounted_at = quote(scope.get("root_path", "")).encode().rstrip(b"/")
    path = raw.partition(b"?")[0]
    return path.removeprefix(mounted_at) or b"/" if (path + b"/").startswith(mounted_at + b"/") else path
