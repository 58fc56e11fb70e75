"""Who may do what: access keys that expire, a region, keys that are denied. Signatures are not verified."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from benchmarks.s3like.answers import S3Error

if TYPE_CHECKING:
    from benchmarks.s3like.wire import Request

__all__ = ["Access", "AccessKey", "Gate"]

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]*/([^/]*)/")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One access key that is let in."""

    name: str
    expires_at: float | None = None
    """Seconds since 1970 from which it answers ExpiredToken."""
    requests: int | None = None
    """How many requests it is good for; then it answers ExpiredToken."""


@dataclass(frozen=True, slots=True)
class Access:
    """The rules. Without any, everyone may do everything."""

    keys: tuple[AccessKey, ...] = ()
    """If there are any, a request must be signed with one of them."""
    region: str | None = None
    """If given, a request must be signed for it."""
    denied: str | None = None
    """Paths that begin with this (`/bucket/prefix`) answer AccessDenied."""


class Gate:
    """Applies the rules and counts what each key has used."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._keys = {key.name: key for key in access.keys}
        self._used = dict.fromkeys(self._keys, 0)
        self._lock = Lock()

    def check(self, request: Request) -> None:
        """Let a request in, or raise S3Error."""
        access = self._access
        if access.denied and request.path.startswith(access.denied):
            raise S3Error("AccessDenied", request.path)
        if not self._keys and not access.region:
            return
        found = _CREDENTIAL.search(request.headers.get("authorization", ""))
        if found is None:
            raise S3Error("AccessDenied", request.path)
        if access.region and found[2] != access.region:
            raise S3Error("AuthorizationHeaderMalformed", request.path, {"x-amz-bucket-region": access.region})
        if self._keys:
            self._check_key(found[1], request.path)

    def _check_key(self, name: str, path: str) -> None:
        key = self._keys.get(name)
        if key is None:
            raise S3Error("InvalidAccessKeyId", path)
        with self._lock:
            used_up = key.requests is not None and self._used[name] >= key.requests
            self._used[name] += 1
        if used_up or (key.expires_at is not None and time.time() >= key.expires_at):
            raise S3Error("ExpiredToken", path)
