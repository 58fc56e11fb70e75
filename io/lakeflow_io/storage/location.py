"""URIs of objects: taken apart for a store, put together from parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from lakeflow_io.errors import ConfigError, UnsupportedError

__all__ = ["WEB", "Location", "is_uri", "join"]

# Servers of single files: they are read, and list nothing.
WEB = ("http", "https")

# What engines call the same store: Hadoop's S3 connectors had three generations, its Azure ones four.
_SCHEME_ALIASES = {
    "": "file",
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    **dict.fromkeys(("abfs", "abfss", "wasb", "wasbs", "az", "adl"), "azure"),
}
_SCHEMES = ("azure", "file", "gs", "http", "https", "memory", "s3")
_SPELLED = "file://, s3:// (s3a, s3n), gs:// (gcs), abfss:// (abfs, wasb, wasbs, az, adl), https://, http://, memory://"


@dataclass(frozen=True, slots=True)
class Location:
    """One object's or folder's address."""

    scheme: str
    """`azure`, `file`, `gs`, `http`, `https`, `memory` or `s3`."""
    bucket: str
    """Empty for files; Azure's container; a web server's host and port."""
    key: str
    """The path within the bucket, without a leading slash."""
    host: str = ""
    """Azure's account as a host (`account.dfs.core.windows.net`), where the URI names it."""
    query: str = ""
    """A web address's, as it is: it may be the signature that opens it."""

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Take a URI, or an absolute path of this machine, apart.

        Raises:
            UnsupportedError: the scheme names a store that lakeflow doesn't reach.
            ConfigError: the URI names no bucket, or carries a password.
        """
        if not is_uri(uri):
            return cls("file", "", uri.lstrip("/"))
        parts = urlsplit(uri)
        scheme = _SCHEME_ALIASES.get(parts.scheme, parts.scheme)
        if scheme not in _SCHEMES:
            raise UnsupportedError(
                f"No store for {uri!r}: the scheme {parts.scheme!r} is not supported.", f"supported are {_SPELLED}."
            )
        # A key may hold '?', '#' and '%', which mean nothing in an object's name: Iceberg's locations are
        # not percent-encoded, of local files neither.
        key = uri.split("://", 1)[1].partition("/")[2] if "://" in uri else uri.partition(":")[2]
        if scheme == "file":
            return cls("file", "", key.lstrip("/"))
        container, at, host = parts.netloc.rpartition("@")
        if scheme == "azure" and at:
            return cls(scheme, container, key, host)
        if at:
            raise ConfigError(
                f"{parts.scheme}://***@{host}/... carries a name or a password.",
                "give credentials as properties, never in a URI: URIs are written into tables and logs.",
            )
        if not parts.netloc:
            raise ConfigError(f"{uri!r} names no bucket.", f"write {parts.scheme}://bucket/key.")
        if scheme in WEB:  # the one kind whose names are written percent-encoded
            path, _, query = key.partition("?")
            return cls(scheme, parts.netloc, unquote(path), query=query)
        return cls(scheme, parts.netloc, key)


def is_uri(text: str) -> bool:
    """Tell a URI from a path of this machine."""
    return "://" in text or text.startswith("file:/")


def join(base: str, *parts: str) -> str:
    """Put a URI together; `parts` are relative."""
    return "/".join([base.rstrip("/"), *(str(PurePosixPath(part)) for part in parts)])
