"""The S3-like server takes uploads as SDKs send them, and lists what there is."""

from __future__ import annotations

import io
import itertools
import random
from http.client import HTTPConnection

import obstore
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

BODY = random.Random(1).randbytes(12_000_000)
_PART = 5 << 20
_buckets = (f"listing{number}" for number in itertools.count())


@pytest.mark.parametrize("framed_by", ["content-length", "transfer-encoding"])
@pytest.mark.parametrize("signed", [True, False])
def test_aws_chunks_are_taken_apart(server, s3, framed_by, signed):
    """Chunks with signatures and a trailer leave the object's bytes alone, and the connection usable."""
    extension = b";chunk-signature=" + b"0" * 64 if signed else b""
    body = BODY[: 256 * 1024 + 1]
    pieces = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    framed += b"0" + extension + b"\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    kind = "AWS4-HMAC-SHA256-PAYLOAD" if signed else "UNSIGNED-PAYLOAD"
    headers = {"Content-Encoding": "aws-chunked", "x-amz-content-sha256": f"STREAMING-{kind}-TRAILER"}
    connection = HTTPConnection("127.0.0.1", server.port)

    for key in ("first", "second"):
        if framed_by == "transfer-encoding":
            chunked = {**headers, "Transfer-Encoding": "chunked"}
            connection.request("PUT", f"/bench/{key}", iter([framed]), chunked, encode_chunked=True)
        else:
            connection.request("PUT", f"/bench/{key}", framed, headers)
        assert connection.getresponse().read() == b""

    connection.close()
    assert body == s3.get_object(Bucket="bench", Key="second")["Body"].read()


def test_an_upload_in_parts_is_their_sum(s3, store):
    """Both clients' multipart uploads arrive whole, with an ETag that tells the number of parts."""
    from boto3.s3.transfer import TransferConfig

    s3.upload_fileobj(io.BytesIO(BODY), "bench", "boto", Config=TransferConfig(_PART, multipart_chunksize=_PART))
    obstore.put(store, "obstore", io.BytesIO(BODY), use_multipart=True, chunk_size=_PART)

    for key in ("boto", "obstore"):
        found = s3.get_object(Bucket="bench", Key=key)
        assert found["Body"].read() == BODY
        assert found["ETag"].endswith('-3"')


def test_an_aborted_upload_leaves_nothing(s3):
    """After an abort the upload is unknown, and there is no object."""
    where = {"Bucket": "bench", "Key": "aborted"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")

    s3.abort_multipart_upload(**where, UploadId=upload)

    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(**where, UploadId=upload, PartNumber=2, Body=b"part")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(**where)


def test_a_part_that_was_never_sent_is_refused(s3):
    """An upload can't be completed with a part that isn't there."""
    where = {"Bucket": "bench", "Key": "gaps"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    tag = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = [{"PartNumber": number, "ETag": tag} for number in (1, 2)]

    with pytest.raises(ClientError, match="InvalidPart"):
        s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


@given(
    keys=st.sets(st.text("ab/ü<", min_size=1, max_size=6).filter(lambda key: not key.startswith("/")), max_size=12),
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "b/"]),
    page=st.integers(1, 4),
)
def test_pages_of_a_listing_add_up(s3, keys, prefix, delimiter, page):
    """All pages together have each key, or each common prefix, once and in order."""
    expected = []
    for key in sorted(keys, key=str.encode):
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            expected.append(key if end < 0 else key[: end + len(delimiter)] + " (prefix)")
    bucket = next(_buckets)
    s3.create_bucket(Bucket=bucket)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")

    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": page}
    )

    keys_found, prefixes_found = [], []
    for each in pages:
        keys_found += [found["Key"] for found in each.get("Contents", [])]
        prefixes_found += [found["Prefix"] + " (prefix)" for found in each.get("CommonPrefixes", [])]
        assert each["KeyCount"] <= page
    assert [key for key in expected if not key.endswith(" (prefix)")] == keys_found
    assert list(dict.fromkeys(key for key in expected if key.endswith(" (prefix)"))) == prefixes_found
