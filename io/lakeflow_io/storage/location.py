"""URIs of objects: taken apart for a store, put together from parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from lakeflow_io.errors import UnsupportedError

__all__ = ["Location", "join"]

# What other engines call the same store (Hadoop's S3 connectors had three generations).
_SCHEME_ALIASES = {"s3a": "s3", "s3n": "s3", "": "file"}
_SCHEMES = ("file", "memory", "s3")


@dataclass(frozen=True, slots=True)
class Location:
    """One object's or folder's address."""

    scheme: str
    """`file`, `memory` or `s3`."""
    bucket: str
    """Empty for files."""
    key: str
    """The path within the bucket, without a leading slash."""

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Take a URI, or an absolute path of this machine, apart.

        Raises:
            UnsupportedError: the scheme names a store that lakeflow doesn't reach.
        """
        parts = urlsplit(uri) if "://" in uri or uri.startswith("file:") else None
        if parts is None:
            return cls("file", "", uri.lstrip("/"))
        scheme = _SCHEME_ALIASES.get(parts.scheme, parts.scheme)
        if scheme not in _SCHEMES:
            raise UnsupportedError(
                f"No store for {uri!r}: the scheme {parts.scheme!r} is not supported.",
                "supported are " + ", ".join(f"{known}://" for known in _SCHEMES) + " and s3a://.",
            )
        # A key may hold '?', '#' and '%', which mean nothing in an object's name: Iceberg's locations are
        # not percent-encoded, of local files neither.
        key = uri.split("://", 1)[1].partition("/")[2] if "://" in uri else uri.partition(":")[2]
        if scheme == "file":
            return cls("file", "", key.lstrip("/"))
        return cls(scheme, parts.netloc, key)


def join(base: str, *parts: str) -> str:
    """Put a URI together; `parts` are relative."""
    return "/".join([base.rstrip("/"), *(str(PurePosixPath(part)) for part in parts)])
