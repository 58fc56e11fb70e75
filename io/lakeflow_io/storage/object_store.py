"""The default transport: obstore, which waits in Rust without the GIL and hands bytes over uncopied."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, NotSupportedError, PreconditionError

from lakeflow_io.errors import ObjectNotFoundError, StoreError, UnsupportedError
from lakeflow_io.storage.credentials import FreshProperties, credential_source
from lakeflow_io.storage.failures import (
    cause,
    gave_up,
    is_outside,
    no_conditions,
    refuses_conditions,
    too_short,
    translate,
)
from lakeflow_io.storage.location import WEB, Location
from lakeflow_io.storage.stores import open_store
from lakeflow_io.storage.transport import ObjectInfo
from lakeflow_io.storage.upload import IN_FLIGHT, PART_BYTES, Upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping

__all__ = ["ObjectStoreTransport"]

# Above this, a put becomes a multipart upload whose parts are sent side by side.
_MULTIPART_BYTES = 16 * 1024 * 1024
# Up to this, an answer's begin is nearly its end, and one step fewer between Rust and Python is worth more.
_BRIEF_BYTES = 1024 * 1024
# Google compares generations where others compare ETags: a tag is both, and neither has a space.
_TAG_JOINT = " "
_NEVER_RETRIED = ("file", "memory")


class ObjectStoreTransport:
    """A Transport over every store that obstore reaches.

    A bucket has two connection pools, one for ranged reads and one for all else.

    Args:
        properties: Catalog properties that concern storage (`s3.endpoint`, `s3.access-key-id`, ...).

    Raises:
        ConfigError: the properties describe a source of credentials that can't be one.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = dict(properties)
        source = credential_source(properties)
        self._fresh = FreshProperties(properties, source) if source is not None else None
        self._stores: dict[tuple[Location, bool], Any] = {}
        self._lock = Lock()

    def get(self, uri: str) -> memoryview:
        """The whole object, in one request."""
        return memoryview(self._call(uri, lambda store, key: obstore.get(store, key).bytes()))

    def get_if_changed(self, uri: str, tag: str | None = None) -> tuple[memoryview, str] | None:
        """The whole object and its tag; None where it still has the one that is given."""

        def read(store: Any, key: str) -> tuple[Any, Any]:
            options: Any = {} if tag is None else {"if_none_match": tag.partition(_TAG_JOINT)[0]}
            answer = obstore.get(store, key, options=options)
            return answer.bytes(), answer.meta

        try:
            data, meta = self._call(uri, read)
        except _UnchangedError:
            return None
        return memoryview(data), _TAG_JOINT.join([meta["e_tag"] or "", meta["version"] or ""])

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`, in one request and one attempt."""

        def read(store: Any, key: str) -> Any:
            try:
                return obstore.get_range(store, key, start=start, length=length)
            except BaseError as error:
                if is_outside(error, key):
                    raise too_short(uri, start, length, 0) from error
                raise

        return _exactly(self._call(uri, read, once=True), uri, start, length)

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """`get_range` for a task; cancelling it drops the request."""

        async def read(store: Any, key: str) -> Any:
            try:
                if length <= _BRIEF_BYTES:
                    return await obstore.get_range_async(store, key, start=start, length=length)
                answer = await obstore.get_async(store, key, options={"range": (start, start + length)})
                if on_first_byte is not None:
                    on_first_byte()
                return await answer.bytes_async()
            except BaseError as error:
                if is_outside(error, key):
                    raise too_short(uri, start, length, 0) from error
                raise

        return _exactly(await self._call_async(uri, read), uri, start, length)

    async def get_suffix_async(self, uri: str, length: int) -> tuple[memoryview, int]:
        """The last `length` bytes, or all where there are fewer, and the object's size in bytes."""

        async def read(store: Any, key: str) -> tuple[Any, int]:
            try:
                answer = await obstore.get_async(store, key, options={"range": {"suffix": length}})
                return await answer.bytes_async(), answer.meta["size"]
            except NotSupportedError:  # Azure has no ranges that count from the end
                size = (await obstore.head_async(store, key))["size"]
                start = max(0, size - length)
                return await obstore.get_range_async(store, key, start=start, end=size) if size else b"", size
            except BaseError as error:
                # No last byte can be asked of an object that has none.
                if is_outside(error, key):
                    return b"", 0
                raise

        data, size = await self._call_async(uri, read)
        view = memoryview(data)
        if len(view) != min(length, size):
            raise too_short(uri, max(0, size - length), min(length, size), len(view))
        return view, size

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """Write an object; readers see all of it or nothing."""
        _refuse_web(uri)
        data = _bytes(data)
        multipart = len(data) > _MULTIPART_BYTES
        self._call(
            uri,
            lambda store, key: obstore.put(store, key, data, use_multipart=multipart, chunk_size=PART_BYTES),
        )

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write an object unless one is there; tell whether this call wrote it."""
        return self._put_if(uri, data, "create")

    def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
        """Replace an object that has this tag; tell whether this call did."""
        known = zip(("e_tag", "version"), tag.split(_TAG_JOINT), strict=True)
        return self._put_if(uri, data, {name: value for name, value in known if value})

    def open_output(self, uri: str) -> Upload:
        """A file that is written front to back, and visible once it is closed."""
        _refuse_web(uri)
        return Upload(uri, _Sender(self, uri))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix`, in no particular order."""
        _refuse_web(prefix)
        base = prefix.rstrip("/")
        folder = Location.parse(base).key
        for page in self._call(base, lambda store, key: list(obstore.list(store, key))):
            for meta in page:
                # Slashes are checked because a store lists by prefix, and `a/b` is one of `a/bc`.
                relative = meta["path"].removeprefix(folder) if folder else "/" + meta["path"]
                if relative.startswith("/"):
                    yield ObjectInfo(base + relative, meta["size"])

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders directly in the folder `prefix`, in no particular order."""
        _refuse_web(prefix)
        base = prefix.rstrip("/")
        found = self._call(base, obstore.list_with_delimiter)
        for path in found["common_prefixes"]:
            yield path.rstrip("/").rpartition("/")[2]

    def delete(self, uri: str) -> None:
        """Delete an object; one that is gone already is no error."""
        _refuse_web(uri)
        try:
            self._call(uri, obstore.delete)
        except ObjectNotFoundError:
            return

    def _put_if(self, uri: str, data: bytes | memoryview, mode: Any) -> bool:
        _refuse_web(uri)
        try:
            self._call(uri, lambda store, key: obstore.put(store, key, _bytes(data), mode=mode))
        except _LostError:
            return False
        except NotImplementedError as error:  # the file system's
            raise no_conditions(uri) from error
        except StoreError as error:
            if refuses_conditions(error, uri):
                raise no_conditions(uri) from error
            raise
        return True

    def _call(self, uri: str, verb: Callable[[Any, str], Any], *, once: bool = False) -> Any:
        location = Location.parse(uri)
        with _translated(uri):
            return verb(self._store(location, once=once), location.key)

    async def _call_async(self, uri: str, verb: Callable[[Any, str], Awaitable[Any]]) -> Any:
        location = Location.parse(uri)
        with _translated(uri):
            store = self._stores.get(_pool(location, once=True))
            if store is None:
                # Finding credentials may take a request of its own.
                store = await asyncio.to_thread(self._store, location, once=True)
            return await verb(store, location.key)

    def _store(self, location: Location, *, once: bool) -> Any:
        where = _pool(location, once=once)
        with self._lock:
            if where not in self._stores:
                self._stores[where] = open_store(location, self._properties, once=where[1], fresh=self._fresh)
            return self._stores[where]


class _Sender:
    """Hands an object that comes in parts to obstore, which undoes an upload whose parts end in an error."""

    def __init__(self, transport: ObjectStoreTransport, uri: str) -> None:
        self._transport = transport
        self._uri = uri

    def whole(self, data: bytearray) -> None:
        self._transport._call(self._uri, lambda store, key: obstore.put(store, key, data, use_multipart=False))  # noqa: SLF001

    def parts(self, parts: Iterator[bytearray]) -> None:
        self._transport._call(  # noqa: SLF001
            self._uri,
            lambda store, key: obstore.put(
                store, key, parts, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=IN_FLIGHT
            ),
        )


class _LostError(StoreError):
    """A conditional put whose condition didn't hold; never leaves this module."""


class _UnchangedError(StoreError):
    """A conditional get of what is known already; never leaves this module."""


@contextmanager
def _translated(uri: str) -> Generator[None]:
    try:
        yield
    except (AlreadyExistsError, PreconditionError) as error:
        raise _LostError(f"{uri} isn't as the condition says.") from error
    except NotModifiedError as error:
        raise _UnchangedError(f"{uri} hasn't changed.") from error
    except (BaseError, OSError) as error:
        raise translate(error, uri) from cause(error)
    except BaseException as error:
        # Rust's panics are no Exception, and their class has no module to import it from.
        if type(error).__name__ in ("PanicException", "RustPanic"):
            raise gave_up(uri) from None
        raise


def _pool(location: Location, *, once: bool) -> tuple[Location, bool]:
    # One store where nothing is repeated anyway.
    return replace(location, key=""), once and location.scheme not in _NEVER_RETRIED


def _refuse_web(uri: str) -> None:
    if Location.parse(uri).scheme in WEB:
        raise UnsupportedError(
            f"{uri} is behind a web server, which is only read.", "write to s3://, gs:// or abfss://."
        )


def _bytes(data: bytes | memoryview) -> memoryview:
    # Arrow's buffers call themselves signed bytes, which obstore doesn't take.
    return memoryview(data).cast("B")


def _exactly(data: Any, uri: str, start: int, length: int) -> memoryview:
    view = memoryview(data)
    if len(view) != length:
        raise too_short(uri, start, length, len(view))
    return view
