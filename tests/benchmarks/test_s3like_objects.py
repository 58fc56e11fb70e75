"""The S3-like server gives its clients what S3 gives them: objects, ranges, conditions, errors."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import obstore
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

# Either side of where bodies go from memory to a memory file.
SIZES = (0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3_000_000)
BODIES = {size: random.Random(size).randbytes(size) for size in SIZES}


def _code(call, **arguments):
    with pytest.raises(ClientError) as raised:
        call(**{"Bucket": "bench", **arguments})
    return raised.value.response["Error"]["Code"]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_got(server, s3, store, size):
    """Bytes of any size come back the same through either client, whoever put them, and are counted."""
    s3.put_object(Bucket="bench", Key="by-boto", Body=BODIES[size])
    obstore.put(store, "by-obstore", BODIES[size])

    assert BODIES[size] == bytes(obstore.get(store, "by-boto").bytes())
    assert BODIES[size] == s3.get_object(Bucket="bench", Key="by-obstore")["Body"].read()
    counts = server.counts()
    assert (2 * size, 2 * size) == (counts["bytes_sent"], counts["bytes_received"])
    assert counts["verbs"] == {"GET": 2, "PUT": 2}


@given(data=st.data())
def test_ranges_are_slices(running, data):
    """A range of any of the three forms is that slice of the object, and says so."""
    size = data.draw(st.sampled_from(SIZES[1:]))
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size + 10))
    suffix = data.draw(st.integers(1, size + 10))
    wanted = {
        f"bytes={first}-{last}": (first, min(last, size - 1)),
        f"bytes={first}-": (first, size - 1),
        f"bytes=-{suffix}": (max(0, size - suffix), size - 1),
    }
    connection = HTTPConnection("127.0.0.1", running.port)
    connection.request("PUT", f"/bench/ranges/{size}", BODIES[size], {"If-None-Match": "*"})
    connection.getresponse().read()

    for asked, (start, end) in wanted.items():
        connection.request("GET", f"/bench/ranges/{size}", headers={"Range": asked})
        answer = connection.getresponse()
        assert BODIES[size][start : end + 1] == answer.read()
        assert (206, f"bytes {start}-{end}/{size}") == (answer.status, answer.headers["Content-Range"])
    connection.close()


def test_many_connections_at_once(store):
    """Ranges asked for by many threads don't mix."""
    body = BODIES[3_000_000]
    obstore.put(store, "many", body)

    with ThreadPoolExecutor(16) as pool:
        starts = range(0, len(body), 30_000)
        parts = pool.map(lambda start: bytes(obstore.get_range(store, "many", start=start, length=30_000)), starts)

    assert body == b"".join(parts)


def test_head_tells_without_a_body(s3):
    """HEAD has the headers of GET: size, ETag (an MD5), that ranges are possible."""
    s3.put_object(Bucket="bench", Key="head", Body=b"12345")

    head = s3.head_object(Bucket="bench", Key="head")

    assert (head["ContentLength"], head["ETag"]) == (5, '"827ccb0eea8a706c4c34a16891f84e7b"')
    assert head["AcceptRanges"] == "bytes"
    assert s3.head_bucket(Bucket="bench")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_first_conditional_put_wins(s3, store):
    """`If-None-Match: *` writes only what isn't there; `If-Match` only what is meant."""
    first = s3.put_object(Bucket="bench", Key="once", Body=b"first", IfNoneMatch="*")

    assert _code(s3.put_object, Key="once", Body=b"second", IfNoneMatch="*") == "PreconditionFailed"
    assert _code(s3.put_object, Key="once", Body=b"second", IfMatch='"other"') == "PreconditionFailed"
    assert _code(s3.get_object, Key="once", IfMatch='"other"') == "PreconditionFailed"
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "once", b"third", mode="create")
    assert s3.get_object(Bucket="bench", Key="once", IfMatch=first["ETag"])["Body"].read() == b"first"


def test_deleted_objects_are_gone(s3, store):
    """One by one or many at once; what isn't there is no error."""
    for number in range(3):
        s3.put_object(Bucket="bench", Key=f"gone/{number}", Body=b"x")
    doomed = [{"Key": key} for key in ("gone/1", "gone/2", "gone/never <&>")]

    s3.delete_object(Bucket="bench", Key="gone/0")
    told = s3.delete_objects(Bucket="bench", Delete={"Objects": doomed})

    assert doomed == told["Deleted"]
    assert list(obstore.list(store, "gone/").collect()) == []


def test_errors_have_s3s_codes(s3):
    """What isn't there and what can't be are named as S3 names them."""
    s3.put_object(Bucket="bench", Key="five", Body=b"12345")

    assert _code(s3.get_object, Key="nothing") == "NoSuchKey"
    assert _code(s3.get_object, Key="five", Range="bytes=5-") == "InvalidRange"
    assert _code(s3.copy_object, Key="copy", CopySource="bench/five") == "NotImplemented"
    assert _code(s3.get_object, Bucket="nowhere", Key="five") == "NoSuchBucket"
    assert _code(s3.create_bucket) == "BucketAlreadyOwnedByYou"


def test_a_folder_is_loaded_with_its_paths(server, store, tmp_path):
    """Files become objects under a prefix, without a request."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file.bin").write_bytes(BODIES[3_000_000])

    files = server.load(tmp_path, "loaded/")

    assert (files, server.counts()["requests"]) == (1, 0)
    assert BODIES[3_000_000] == bytes(obstore.get(store, "loaded/deep/file.bin").bytes())
