"""The default transport: obstore, which waits in Rust without the GIL and hands bytes over uncopied."""

from __future__ import annotations

import errno
import re
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, MemoryStore, S3Store

from lakeflow_io.errors import (
    AccessDeniedError,
    ConfigError,
    CorruptFileError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
)
from lakeflow_io.storage.location import Location
from lakeflow_io.storage.properties import s3_options
from lakeflow_io.storage.transport import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["ObjectStoreTransport", "open_transport"]

# Above this, a put becomes a multipart upload whose parts are sent side by side.
_MULTIPART_BYTES = 16 * 1024 * 1024
# What obstore says of a refused listing or deletion, which it doesn't raise as PermissionDeniedError.
_DENIED = ("403 Forbidden", "401 Unauthorized")


class ObjectStoreTransport:
    """A Transport over every store that obstore reaches; one connection pool a bucket.

    Args:
        properties: Catalog properties that concern storage (`s3.endpoint`, `s3.access-key-id`, ...).
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = dict(properties)
        self._stores: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def get(self, uri: str) -> memoryview:
        """The whole object, in one request."""
        return memoryview(self._call(uri, lambda store, key: obstore.get(store, key).bytes()))

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`, in one request."""

        def read(store: Any, key: str) -> Any:
            try:
                return obstore.get_range(store, key, start=start, length=length)
            except BaseError as error:
                # Object stores answer 416 to a range that begins behind the end.
                if "range was invalid" in str(error) or "416 Range Not Satisfiable" in str(error):
                    raise _too_short(uri, start, length, 0) from error
                raise

        data = memoryview(self._call(uri, read))
        if len(data) != length:
            raise _too_short(uri, start, length, len(data))
        return data

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """Write an object; readers see all of it or nothing."""
        # Arrow's buffers call themselves signed bytes, which obstore doesn't take.
        data = memoryview(data).cast("B")
        multipart = len(data) > _MULTIPART_BYTES
        self._call(
            uri,
            lambda store, key: obstore.put(store, key, data, use_multipart=multipart, chunk_size=_MULTIPART_BYTES // 2),
        )

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write an object unless one is there; tell whether this call wrote it."""
        try:
            self._call(uri, lambda store, key: obstore.put(store, key, data, mode="create"))
        except _PresentError:
            return False
        return True

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix`, in no particular order."""
        base = prefix.rstrip("/")
        folder = Location.parse(base).key
        for page in self._call(base, lambda store, key: list(obstore.list(store, key))):
            for meta in page:
                # Slashes are checked because a store lists by prefix, and `a/b` is one of `a/bc`.
                relative = meta["path"].removeprefix(folder)
                if relative.startswith("/"):
                    yield ObjectInfo(base + relative, meta["size"])

    def delete(self, uri: str) -> None:
        """Delete an object; one that is gone already is no error."""
        try:
            self._call(uri, obstore.delete)
        except ObjectNotFoundError:
            return

    def _call(self, uri: str, verb: Callable[[Any, str], Any]) -> Any:
        location = Location.parse(uri)
        try:
            return verb(self._store(location), location.key)
        except AlreadyExistsError as error:
            raise _PresentError(f"{uri} exists already.") from error
        except (BaseError, OSError) as error:
            raise _translate(error, uri) from error

    def _store(self, location: Location) -> Any:
        where = (location.scheme, location.bucket)
        with self._lock:
            if where not in self._stores:
                self._stores[where] = self._open(location)
            return self._stores[where]

    def _open(self, location: Location) -> Any:
        if location.scheme == "s3":
            return S3Store(location.bucket, **s3_options(self._properties))
        if location.scheme == "memory":
            return MemoryStore()
        return LocalStore()


@cache
def _shared(properties: tuple[tuple[str, str], ...]) -> ObjectStoreTransport:
    return ObjectStoreTransport(dict(properties))


def open_transport(properties: Mapping[str, str]) -> ObjectStoreTransport:
    """The transport for these properties, one for the whole process so that connections are reused."""
    return _shared(tuple(sorted(properties.items())))


class _PresentError(StoreError):
    """A put-if-absent that lost; never leaves this module."""


def _too_short(uri: str, start: int, length: int, got: int) -> CorruptFileError:
    return CorruptFileError(
        f"{uri} ends too early: bytes {start}-{start + length} were asked for, {got} came.",
        "the file was truncated or replaced after it was committed; restore it or roll the table back.",
    )


def _translate(error: Exception, uri: str) -> StoreError | ConfigError:
    # obstore appends a Rust debug print, which helps nobody who reads a message.
    text = str(error).split("\n\nDebug source:")[0].strip()
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(f"{uri} does not exist.", "the table's metadata or the path is out of date.")
    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError)
    if denied or any(status in text for status in _DENIED):
        return AccessDeniedError(
            f"Access to {uri} was refused: {_first_line(text)}",
            "check the credentials (s3.access-key-id, s3.secret-access-key or the AWS profile) and their rights.",
        )
    if f"os error {errno.ENOSPC}" in text or f"os error {errno.EDQUOT}" in text:
        return StoreFullError(
            f"No space left to write {uri}.", "free space or choose another warehouse, then run again."
        )
    if f"os error {errno.EACCES}" in text or f"os error {errno.EROFS}" in text:
        return AccessDeniedError(
            f"{uri} is not writable or readable: {_first_line(text)}", "check the folder's rights."
        )
    if re.search(r"\bcredentials?\b", text.replace(Location.parse(uri).key, ""), re.IGNORECASE):
        return AccessDeniedError(
            f"No usable credentials for {uri}: {_first_line(text)}",
            "set s3.access-key-id and s3.secret-access-key, or configure an AWS profile.",
        )
    return StoreError(
        f"The store failed on {uri}: {_first_line(text)}", "check the endpoint and the network, then retry."
    )


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no details given"
