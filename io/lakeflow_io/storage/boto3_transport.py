"""The second transport: boto3, for sessions of the caller's own.

It is slower than obstore (each byte passes Python, and each request holds a thread), and does what
obstore doesn't: whatever a boto3 session can sign in with, and its event handlers.
`lakeflow.s3.transport=boto3` chooses it, and so does `lakeflow.s3.session`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lakeflow_io.errors import ConfigError, InternalError, LakeflowError, StoreError, UnsupportedError
from lakeflow_io.storage.boto3_client import extra_arguments, s3_client, s3_session
from lakeflow_io.storage.boto3_upload import MultipartSender
from lakeflow_io.storage.failures import failed, gave_up, no_conditions, no_credentials, refused, too_short
from lakeflow_io.storage.location import Location
from lakeflow_io.storage.transport import ObjectInfo
from lakeflow_io.storage.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

__all__ = ["Boto3Transport"]

_T = TypeVar("_T")
_METHODS = {
    "GetObject": "get_object",
    "PutObject": "put_object",
    "DeleteObject": "delete_object",
    "CreateMultipartUpload": "create_multipart_upload",
    "UploadPart": "upload_part",
    "CompleteMultipartUpload": "complete_multipart_upload",
    "AbortMultipartUpload": "abort_multipart_upload",
}

# A body is read in such pieces, and between two of them a request that nobody waits for is dropped.
_PIECE_BYTES = 1024 * 1024
# botocore repeats a request that fails, and not one whose body does.
_BODY_ATTEMPTS = 3
_OUTSIDE = 416  # RFC 9110: the range begins behind the end
_PRESENT = (409, 412)  # another writer is just at it; it is there
_CHANGED = (404, 409, 412)  # it is gone; another writer is just at it; it has another tag
_UNCHANGED = 304
_NOT_IMPLEMENTED = 501  # what stores of the S3 protocol say to headers that they don't know


class Boto3Transport:
    """A Transport for `s3://` over boto3.

    Args:
        properties: Storage properties, as for the default transport, and `lakeflow.s3.session`.

    Raises:
        ConfigError: boto3 isn't installed, or a property has a value that it can't have.
        StoreError: what gives credentials failed.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        if importlib.util.find_spec("boto3") is None:
            raise ConfigError.missing_extra("boto3", "aws", "lakeflow.s3.transport=boto3")
        session = s3_session(properties)
        self._client = s3_client(properties, session, once=False)
        self._once = s3_client(properties, session, once=True)
        self._extra = extra_arguments(properties)

    def get(self, uri: str) -> memoryview:
        """The whole object, in one request; asked for again where its body is cut."""
        for left in reversed(range(_BODY_ATTEMPTS)):
            try:
                return self._whole(uri)
            except StoreError as error:
                if type(error) is not StoreError or not left:
                    raise
        raise InternalError("A loop of attempts ended without one.")

    def get_if_changed(self, uri: str, tag: str | None = None) -> tuple[memoryview, str] | None:
        """The whole object and its tag, its ETag; None where it still has the one that is given."""
        from botocore.exceptions import ClientError

        condition: dict[str, Any] = {} if tag is None else {"IfNoneMatch": tag}
        with _translated(uri):
            try:
                answer = self._ask("GetObject", uri, **condition)
            except ClientError as error:
                if _status(error) == _UNCHANGED:
                    return None
                raise
            return _body(answer, uri, 0, answer["ContentLength"], threading.Event()), answer["ETag"]

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`, in one request and one attempt."""
        return self._range(uri, start, length, threading.Event(), None)

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """`get_range` for a task; cancelling it drops the request at the next piece that comes."""
        return await self._threaded(lambda dropped: self._range(uri, start, length, dropped, on_first_byte))

    async def get_suffix_async(self, uri: str, length: int) -> tuple[memoryview, int]:
        """The last `length` bytes, or all where there are fewer, and the object's size in bytes."""
        return await self._threaded(lambda dropped: self._suffix(uri, length, dropped))

    def put(self, uri: str, data: bytes | memoryview) -> None:
        """Write an object; readers see all of it or nothing."""
        with self.open_output(uri) as file:
            file.write(data)

    def put_if_absent(self, uri: str, data: bytes | memoryview) -> bool:
        """Write an object unless one is there; tell whether this call wrote it."""
        return self._put_if(uri, data, _PRESENT, IfNoneMatch="*")

    def put_if_unchanged(self, uri: str, data: bytes | memoryview, tag: str) -> bool:
        """Replace an object that has this ETag; tell whether this call did."""
        return self._put_if(uri, data, _CHANGED, IfMatch=tag)

    def open_output(self, uri: str) -> Upload:
        """A file that is written front to back, and visible once it is closed."""

        def ask(operation: str, **arguments: Any) -> Any:
            with _translated(uri):
                return self._ask(operation, uri, **arguments)

        return Upload(uri, MultipartSender(ask))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects under the folder `prefix`, in no particular order."""
        base = prefix.rstrip("/")
        bucket, key = _place(base)
        folder = f"{key}/" if key else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=folder, **self._known("ListObjectsV2")
        )
        with _translated(base):
            for page in pages:
                for each in page.get("Contents", []):
                    yield ObjectInfo(f"{base}/{each['Key'].removeprefix(folder)}", each["Size"])

    def folders(self, prefix: str) -> Iterator[str]:
        """The names of the folders directly in the folder `prefix`, in no particular order."""
        base = prefix.rstrip("/")
        bucket, key = _place(base)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{key}/" if key else "", Delimiter="/", **self._known("ListObjectsV2")
        )
        with _translated(base):
            for page in pages:
                for each in page.get("CommonPrefixes", []):
                    yield each["Prefix"].rstrip("/").rpartition("/")[2]

    def delete(self, uri: str) -> None:
        """Delete an object; one that is gone already is no error."""
        with _translated(uri):
            self._ask("DeleteObject", uri)

    def _put_if(self, uri: str, data: bytes | memoryview, lost: tuple[int, ...], **condition: Any) -> bool:
        from botocore.exceptions import ClientError

        with _translated(uri):
            try:
                self._ask("PutObject", uri, Body=bytes(memoryview(data).cast("B")), **condition)
            except ClientError as error:
                if _status(error) == _NOT_IMPLEMENTED:
                    raise no_conditions(uri) from error
                if _status(error) not in lost:
                    raise
                return False
        return True

    def _whole(self, uri: str) -> memoryview:
        with _translated(uri):
            answer = self._ask("GetObject", uri)
            return _body(answer, uri, 0, answer["ContentLength"], threading.Event())

    def _range(
        self,
        uri: str,
        start: int,
        length: int,
        dropped: threading.Event,
        on_first_byte: Callable[[], None] | None,
    ) -> memoryview:
        from botocore.exceptions import ClientError

        with _translated(uri):
            try:
                answer = self._ask("GetObject", uri, once=True, Range=f"bytes={start}-{start + length - 1}")
            except ClientError as error:
                if _status(error) == _OUTSIDE:
                    raise too_short(uri, start, length, 0) from error
                raise
            if on_first_byte is not None:
                on_first_byte()
            return _body(answer, uri, start, length, dropped)

    def _suffix(self, uri: str, length: int, dropped: threading.Event) -> tuple[memoryview, int]:
        from botocore.exceptions import ClientError

        with _translated(uri):
            try:
                answer = self._ask("GetObject", uri, once=True, Range=f"bytes=-{length}")
            except ClientError as error:
                if _status(error) == _OUTSIDE:  # no last byte can be asked of an object that has none
                    return memoryview(b""), 0
                raise
            size = int(answer.get("ContentRange", f"/{answer['ContentLength']}").rpartition("/")[2])
            wanted = min(length, size)
            return _body(answer, uri, size - wanted, wanted, dropped), size

    async def _threaded(self, read: Callable[[threading.Event], _T]) -> _T:
        dropped = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(None, read, dropped)
        except asyncio.CancelledError:
            dropped.set()
            raise

    def _ask(self, operation: str, uri: str, *, once: bool = False, **arguments: Any) -> Any:
        from botocore.exceptions import ParamValidationError

        bucket, key = _place(uri)
        method = getattr(self._once if once else self._client, _METHODS[operation])
        try:
            return method(Bucket=bucket, Key=key, **{**self._known(operation), **arguments})
        except (ParamValidationError, TypeError, ValueError) as error:
            # What they say may repeat a value, which may be a key.
            kind = type(error).__name__
            raise ConfigError(
                f"boto3 doesn't ask about {uri}: {kind}.", "check the names and the s3.* properties."
            ) from None

    def _known(self, operation: str) -> dict[str, Any]:
        names = self._client.meta.service_model.operation_model(operation).input_shape.members
        return {name: value for name, value in self._extra.items() if name in names}


def _place(uri: str) -> tuple[str, str]:
    location = Location.parse(uri)
    if location.scheme != "s3":
        raise UnsupportedError(f"boto3 doesn't reach {uri}.", "leave out lakeflow.s3.transport=boto3.")
    return location.bucket, location.key


def _body(answer: Any, uri: str, start: int, length: int, dropped: threading.Event) -> memoryview:
    """Read a body into one buffer; its connection is closed where that doesn't succeed."""
    view = memoryview(bytearray(length))
    body, got = answer["Body"], 0
    try:
        while got < length:
            count = body.readinto(view[got : got + _PIECE_BYTES])
            if not count:
                break
            got += count
            if dropped.is_set():
                break
        if got != length and not dropped.is_set():
            raise too_short(uri, start, length, got)
    finally:
        if got != length:
            body.close()
    return view.toreadonly()


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def _translated(uri: str) -> Generator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except LakeflowError:
        raise
    except ClientError as error:
        code, line = str(error.response.get("Error", {}).get("Code", "")), str(error).splitlines()[0]
        raise refused(uri, _status(error), code, line, line) or failed(uri, line) from error
    except (BotoCoreError, Boto3Error, HTTPError, OSError) as error:
        if type(error) is HTTPClientError:
            # What its HTTP client doesn't take, such as a header, is repeated in it.
            raise gave_up(uri) from None
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        raise (no_credentials if "Credential" in line else failed)(uri, line) from error
