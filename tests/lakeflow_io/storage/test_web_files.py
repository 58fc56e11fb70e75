"""Files behind a web server, with or without a signature in their address, are read as any others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakeflow as lf
from lakeflow_io.errors import NotFoundError

if TYPE_CHECKING:
    from lakeflow.demo.seaweed import Seaweed

QUERY = "X-Amz-Expires=60&X-Amz-Signature=hunter2%2Fx+y&d=a/b"
TABLE = pa.table({"x": [1, 2, 3]})


def _file() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("path", [f"/t/a.parquet?{QUERY}", "/t/a%20b%25.parquet", "/t/a*[b].parquet"])
def test_an_address_is_asked_for_as_it_is(web: Any, path: str) -> None:
    """A query goes along, nothing is encoded twice, and wildcards are plain characters."""
    data = _file()
    server = web.serve(lambda request: web.ranged(request, data))

    got = lf.read_parquet(server.url + path)

    assert got.to_arrow().equals(TABLE)
    assert {request.path for request in server.requests} == {path}


def test_keys_are_those_of_the_path(web: Any) -> None:
    """Folders count, not what looks like one in the query."""
    data = _file()
    server = web.serve(lambda request: web.ranged(request, data))

    scan = lf.scan_parquet(f"{server.url}/year=2024/a.parquet?b/c=1/d")

    assert scan.read().to_pylist()[0] == {"x": 1, "year": 2024}
    assert "c=1" not in repr(scan)


def test_nothing_there_is_told_without_the_signature(web: Any) -> None:
    """An address that has run out, or never was, names each file by its path."""
    server = web.serve(lambda _: web.answer(404))

    with pytest.raises(NotFoundError, match=r"a\.parquet") as caught:
        lf.scan_parquet(f"{server.url}/a.parquet?{QUERY}")

    assert "hunter2" not in str(caught.value)
    assert "lists nothing" in str(caught.value.hint)


def test_an_address_that_a_store_signed_is_read(seaweed: Seaweed, namespace: str) -> None:
    """What `generate_presigned_url` gives opens the file without credentials."""
    client = boto3.client(
        "s3", endpoint_url=seaweed.s3_endpoint, region_name="us-east-1",
        aws_access_key_id=seaweed.access_key, aws_secret_access_key=seaweed.secret_key,
    )  # fmt: skip
    place = {"Bucket": "plain", "Key": f"{namespace}/a b/x.parquet"}
    client.put_object(**place, Body=_file())

    signed = client.generate_presigned_url("get_object", Params=place)

    assert urlsplit(signed).query
    assert lf.read_parquet(signed).to_arrow().equals(TABLE)
