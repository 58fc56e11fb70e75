"""A whole table is read and written with keys that its catalog vends, when those of the first load are over."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
import time
from types import SimpleNamespace
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
    return _vending(web, seaweed, namespace, numbers)


def _vending(
    web: Any,
    seaweed: Seaweed,
    namespace: str,
    numbers: Callable[..., pa.Table],
    *,
    endpoint: bool = True,
    said: dict[str, Any] | None = None,
) -> tuple[Callable[..., lf.Lake], str]:
    """Without the endpoint for credentials it vends good ones when the table is loaded again; `said` by everything."""
    said = said or {}
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
    metadata["properties"] = {**metadata.get("properties", {}), **said}
    endpoints = [_TABLE, f"{_TABLE}/credentials"] if endpoint else [_TABLE]
    loads = itertools.count()

    def loaded() -> dict[str, Any]:
        keys = over if endpoint or next(loads) == 0 else good
        return {
            "metadata-location": real.iceberg.metadata_location, "metadata": metadata,
            "config": {**place, **keys, **said},
        }  # fmt: skip

    answers = {
        "/v1/config": {"defaults": said, "overrides": said, "endpoints": endpoints},
        f"/v1/namespaces/{namespace}/tables/numbers/credentials": {
            "storage-credentials": [{"prefix": "s3://tables/", "config": good}],
        },
    }  # fmt: skip
    table = f"/v1/namespaces/{namespace}/tables/numbers"

    def answer(request: Any) -> Any:
        path = request.path.partition("?")[0]
        return web.answer(200, json.dumps(loaded() if path == table else answers[path]).encode())

    server = web.serve(answer)

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


def test_boto3_renews_by_loading_the_table(
    web: Any, seaweed: Seaweed, namespace: str, numbers: Callable[..., pa.Table]
) -> None:
    """With the second transport too, where a table is loaded again, whose file reader opens a transport meanwhile."""
    connect, name = _vending(web, seaweed, namespace, numbers, endpoint=False)

    lake = connect(**{"lakeflow.s3.transport": "boto3"})

    assert lake.table(name).scan().read().to_arrow().sort_by("id").equals(numbers(100))


def test_a_catalog_names_no_code(
    web: Any, seaweed: Seaweed, namespace: str, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its configuration nor a table's chooses what is imported, called or read with; the caller's own does."""
    called: list[str] = []

    def function(who: str) -> dict[str, str]:
        called.append(who)
        return {
            "s3.access-key-id": seaweed.access_key, "s3.secret-access-key": seaweed.secret_key,
            "s3.session-token-expires-at-ms": str(round((time.time() + 3600) * 1000)),
        }  # fmt: skip

    module = SimpleNamespace(theirs=lambda: function("theirs"), mine=lambda: function("mine"))
    monkeypatch.setitem(sys.modules, "module_of_somebody", module)
    said = {
        "lakeflow.credentials.function": "module_of_somebody:theirs",
        "lakeflow.s3.transport": "boto3",
        "py-io-impl": "module_of_somebody.Theirs",
    }
    connect, name = _vending(web, seaweed, namespace, numbers, said=said)

    without = len(connect().table(name).scan().read())
    with_mine = connect(**{"lakeflow.credentials.function": "module_of_somebody:mine"}).table(name).scan()

    assert (without, len(with_mine.read())) == (100, 100)
    assert set(called) == {"mine"}
    assert "lakeflow.s3.transport" not in with_mine.shards(n=1)[0].spec.store
