"""Data files are sent while they are encoded, and one that fails leaves nothing behind."""

from __future__ import annotations

import gc
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_io.errors import AccessDeniedError
from lakeflow_io.iceberg.stage import Stager
from lakeflow_io.parquet.encode import encode
from lakeflow_io.storage.upload import PART_BYTES

if TYPE_CHECKING:
    from lakeflow.demo.seaweed import Seaweed

KEYS = {"s3.access-key-id": "id", "s3.secret-access-key": "s", "s3.region": "us-east-1"}
CREATED = b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"


def _large() -> pa.Table:
    """Encoded it takes four parts, in two row groups."""
    return pa.table({"x": np.random.default_rng(1).random(4 * PART_BYTES // 8 - 100_000)})


@pytest.mark.parametrize("kind", ["obstore", "boto3"])
def test_a_file_of_several_parts_is_read_back(embedded: lf.Lake, seaweed: Seaweed, namespace: str, kind: str) -> None:
    """Beyond one part it becomes an upload in parts, of just the bytes that its description says."""
    data = _large()
    table = embedded.create_table(f"{namespace}.t", data.schema)
    stager = Stager.for_table(table.iceberg, "t")
    place = {**seaweed.store_properties, "lakeflow.s3.transport": kind}

    [staged] = replace(stager, folder=f"s3://plain/{namespace}", store=place).write("a", data)

    assert staged["bytes"] > 3 * PART_BYTES
    assert lf.read_parquet(staged["path"], **seaweed.store_properties).to_arrow().equals(data)


@pytest.mark.parametrize("kind", ["obstore", "boto3"])
def test_a_part_that_is_refused_ends_the_file(web: Any, embedded: lf.Lake, namespace: str, kind: str) -> None:
    """What the store said is raised, not what the encoder makes of it, and the store forgets the parts it has."""

    def answer(request: Any) -> Any:
        if request.method == "POST":
            return web.answer(200, CREATED)
        return web.answer(204 if request.method == "DELETE" else 403)

    server = web.serve(answer)
    data = _large()
    stager = Stager.for_table(embedded.create_table(f"{namespace}.t", data.schema).iceberg, "t")
    place = {**KEYS, "s3.endpoint": server.url, "lakeflow.s3.transport": kind}

    with pytest.raises(AccessDeniedError):
        replace(stager, folder="s3://bucket/data", store=place).write("a", data)

    [undone] = [request.path for request in server.requests if request.method == "DELETE"]
    assert undone.endswith("?uploadId=u1")


@pytest.mark.parametrize("allowed", [0, 4, 1000, 10_000_000])
def test_what_a_file_raises_is_raised(allowed: int) -> None:
    """At the first byte, among the pages and at the footer; and nothing is written later."""
    data = _large()

    class Full(io.BytesIO):
        def write(self, more: Any) -> int:
            if self.tell() + len(more) > allowed:
                raise KeyError("the caller's")
            return super().write(more)

    file = Full()

    with pytest.raises(KeyError, match="the caller's"):
        encode(data, {"write.parquet.compression-codec": "uncompressed"}, file)
    gc.collect()

    assert not file.closed
