"""A whole table is read and written with keys that its catalog vends, when those of the first load are over."""

from __future__ import annotations

import json
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import StoreError
from lakeflow_io.reader import read_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from lakeflow.demo.seaweed import Seaweed

_TABLE = "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}"


@pytest.fixture
def vending(
    web: Any, seaweed: Seaweed, namespace: str, numbers: Callable[..., pa.Table]
) -> tuple[Callable[..., lf.Lake], str]:
    """A catalog of one table of a hundred rows: what it vends with the table is over, and a second request helps."""
    real = lf.connect(**seaweed.catalog_properties).create_table(f"{namespace}.numbers", numbers(1).schema)
    real.append(numbers(100))
    metadata = real.iceberg.metadata.model_dump(mode="json", by_alias=True, exclude_none=True)
    place = {"s3.endpoint": seaweed.s3_endpoint, "s3.region": "us-east-1"}
    over = {"s3.access-key-id": "over", "s3.secret-access-key": "x", "s3.session-token-expires-at-ms": "1"}
    ends = str(round((time.time() + 3600) * 1000))
    good = {
        "s3.access-key-id": seaweed.access_key,
        "s3.secret-access-key": seaweed.secret_key,
        "s3.session-token-expires-at-ms": ends,
    }
    answers = {
        "/v1/config": {"defaults": {}, "overrides": {}, "endpoints": [_TABLE, f"{_TABLE}/credentials"]},
        f"/v1/namespaces/{namespace}/tables/numbers": {
            "metadata-location": real.iceberg.metadata_location, "metadata": metadata, "config": {**place, **over},
        },
        f"/v1/namespaces/{namespace}/tables/numbers/credentials": {
            "storage-credentials": [{"prefix": "s3://tables/", "config": good}],
        },
    }  # fmt: skip
    server = web.serve(lambda request: web.answer(200, json.dumps(answers[request.path.partition("?")[0]]).encode()))

    def connect(**properties: str) -> lf.Lake:
        return lf.connect(type="rest", uri=server.url, token="t", **properties)

    return connect, f"{namespace}.numbers"


def test_a_scan_outlives_the_first_keys(vending: Any, numbers: Callable[..., pa.Table]) -> None:
    """Manifests and data are read with the keys that the catalog vends anew, and so they are by a worker."""
    connect, name = vending
    scan = connect().table(name).scan()

    here = scan.read().to_arrow()
    shard = pickle.loads(pickle.dumps(scan.shards(n=1)[0]))
    there = sum(batch.num_rows for batch in read_batches(shard.spec, shard.pieces))

    assert here.sort_by("id").equals(numbers(100))
    assert there == 100


def test_renewal_can_be_turned_off(vending: Any) -> None:
    """With Java's switch the keys of the first load are all there are."""
    connect, name = vending

    with pytest.raises(StoreError):
        connect(**{"client.refresh-credentials-enabled": "false"}).table(name).scan().read()
