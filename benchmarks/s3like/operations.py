"""S3's operations: a request in, an answer out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from benchmarks.s3like.answers import Answer, S3Error, xml
from benchmarks.s3like.blob import Blob
from benchmarks.s3like.listing import list_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.s3like.store import Store, Stored
    from benchmarks.s3like.wire import Request

__all__ = ["answer"]

_XML = {"Content-Type": "application/xml"}


def answer(store: Store, request: Request, body: Iterable[bytes]) -> Answer:
    """Do what a request asks for; raises S3Error."""
    bucket, _, key = request.path[1:].partition("/")
    if not bucket:
        if request.method != "GET":
            raise S3Error("MethodNotAllowed", request.path)
        return _buckets(store)
    operation = _operation(request.method, request.query, with_key=bool(key))
    if operation is None:
        raise S3Error("NotImplemented", request.path)
    return operation(store, request, bucket, key, body)


def _operation(method: str, query: dict[str, str], *, with_key: bool) -> Callable[..., Answer] | None:
    if not with_key:
        if method == "GET":
            return _location if "location" in query else _list if query.get("list-type") == "2" else None
        if method == "POST":
            return _delete_many if "delete" in query else None
        return {"HEAD": _head_bucket, "PUT": _make_bucket}.get(method)
    if "uploadId" in query:
        return {"PUT": _part, "POST": _finish, "DELETE": _abort}.get(method)
    if method == "POST":
        return _start if "uploads" in query else None
    return {"GET": _get, "HEAD": _get, "PUT": _put, "DELETE": _delete}.get(method)


def _buckets(store: Store) -> Answer:
    names = "".join(
        f"<Bucket><Name>{escape(name)}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>"
        for name in store.buckets
    )
    return Answer(200, _XML, xml(f"<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>"))


def _location(store: Store, _request: Request, bucket: str, _key: str, _body: Iterable[bytes]) -> Answer:
    store.bucket(bucket)
    return Answer(200, _XML, xml("<LocationConstraint></LocationConstraint>"))  # empty is us-east-1


def _list(store: Store, request: Request, bucket: str, _key: str, _body: Iterable[bytes]) -> Answer:
    return list_objects(store, bucket, request.query)


def _head_bucket(store: Store, _request: Request, bucket: str, _key: str, _body: Iterable[bytes]) -> Answer:
    store.bucket(bucket)
    return Answer(200, {"x-amz-bucket-region": "us-east-1"})


def _make_bucket(store: Store, _request: Request, bucket: str, _key: str, body: Iterable[bytes]) -> Answer:
    b"".join(body)
    store.make_bucket(bucket)
    return Answer(200, {"Location": f"/{bucket}"})


def _get(store: Store, request: Request, bucket: str, key: str, _body: Iterable[bytes]) -> Answer:
    stored = store.get(bucket, key)
    wanted = request.headers.get("if-match", stored.etag)
    if wanted not in ("*", stored.etag):
        raise S3Error("PreconditionFailed", key)
    if request.headers.get("if-none-match") in ("*", stored.etag):
        return Answer(304, {**stored.headers, "Content-Length": "0"})
    asked = request.headers.get("range")
    if asked is None or not asked.startswith("bytes="):
        return Answer(200, stored.headers, blob=stored.blob, length=stored.blob.size)
    start, length = _range(asked[6:], stored, key)
    within = f"bytes {start}-{start + length - 1}/{stored.blob.size}"
    return Answer(206, {**stored.headers, "Content-Range": within}, blob=stored.blob, start=start, length=length)


def _range(asked: str, stored: Stored, key: str) -> tuple[int, int]:
    """Start and length of `a-b`, `a-` or `-n`."""
    size = stored.blob.size
    first, _, last = asked.partition("-")
    try:
        if first:
            start, end = int(first), min(int(last) + 1, size) if last else size
        else:
            start, end = max(0, size - int(last)), size
    except ValueError:
        raise S3Error("InvalidArgument", key) from None
    if start >= end:
        raise S3Error("InvalidRange", key, {"Content-Range": f"bytes */{size}"})
    return start, end - start


def _put(store: Store, request: Request, bucket: str, key: str, body: Iterable[bytes]) -> Answer:
    if "x-amz-copy-source" in request.headers:
        raise S3Error("NotImplemented", key)
    blob = Blob.collect(body)
    headers = request.headers
    stored = store.put(
        bucket, key, blob, if_absent=headers.get("if-none-match") == "*", if_match=headers.get("if-match", "")
    )
    return Answer(200, {"ETag": stored.etag})


def _delete(store: Store, _request: Request, bucket: str, key: str, _body: Iterable[bytes]) -> Answer:
    store.delete(bucket, key)
    return Answer(204, {"Content-Length": "0"})


def _delete_many(store: Store, _request: Request, bucket: str, _key: str, body: Iterable[bytes]) -> Answer:
    document = _parse(body)
    keys = [element.text or "" for element in document.iterfind("{*}Object/{*}Key")]
    for key in keys:
        store.delete(bucket, key)
    quiet = document.findtext("{*}Quiet") == "true"
    told = "" if quiet else "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
    return Answer(200, _XML, xml(f"<DeleteResult>{told}</DeleteResult>"))


def _start(store: Store, _request: Request, bucket: str, key: str, body: Iterable[bytes]) -> Answer:
    b"".join(body)
    upload = store.start_upload(bucket, key)
    told = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
    return Answer(200, _XML, xml(f"<InitiateMultipartUploadResult>{told}</InitiateMultipartUploadResult>"))


def _part(store: Store, request: Request, _bucket: str, _key: str, body: Iterable[bytes]) -> Answer:
    blob = Blob.collect(body)
    return Answer(200, {"ETag": store.put_part(request.query["uploadId"], int(request.query["partNumber"]), blob)})


def _finish(store: Store, request: Request, bucket: str, key: str, body: Iterable[bytes]) -> Answer:
    numbers = [int(element.text or 0) for element in _parse(body).iterfind("{*}Part/{*}PartNumber")]
    if_absent = request.headers.get("if-none-match") == "*"
    stored = store.finish_upload(request.query["uploadId"], numbers, if_absent=if_absent)
    told = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key><ETag>{escape(stored.etag)}</ETag>"
    return Answer(200, _XML, xml(f"<CompleteMultipartUploadResult>{told}</CompleteMultipartUploadResult>"))


def _abort(store: Store, request: Request, _bucket: str, _key: str, _body: Iterable[bytes]) -> Answer:
    store.drop_upload(request.query["uploadId"])
    return Answer(204, {"Content-Length": "0"})


def _parse(body: Iterable[bytes]) -> ET.Element:
    try:
        return ET.fromstring(b"".join(body))  # noqa: S314  (our own clients, on loopback)
    except ET.ParseError:
        raise S3Error("MalformedXML") from None
