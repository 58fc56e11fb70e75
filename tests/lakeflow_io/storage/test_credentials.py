"""Credentials that expire are renewed before they do, once for everybody, wherever the reader runs."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import AccessDeniedError, ConfigError, StoreError
from lakeflow_io.storage import ObjectStoreTransport, boto3_client, credentials, object_store, open_transport
from lakeflow_io.storage.boto3_transport import Boto3Transport
from lakeflow_io.storage.credentials import FreshProperties, credential_source

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = bytes(range(200))
SECRET = "hunter2-s3cr3t"
LIFE_SECONDS = 60  # less than the five minutes ahead in which obstore asks at each request
# Real ones, by a clock of its own in Rust: for a tenth of a second it asks for no other keys.
OBSTORE_KEEPS_SECONDS = 0.15


def _keys(number: int, ends_at: float) -> dict[str, str]:
    return {
        "s3.access-key-id": f"key{number}",
        "s3.secret-access-key": SECRET,
        "s3.session-token": f"token{number}",
        "s3.session-token-expires-at-ms": str(round(ends_at * 1000)),
    }


@dataclass
class _Clock:
    """A time that passes when a test says so."""

    now: float


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """The clock by which transports that are opened in the test renew their credentials."""
    clock = _Clock(time.time())
    for module in (object_store, boto3_client):
        monkeypatch.setattr(module, "FreshProperties", partial(FreshProperties, clock=lambda: clock.now))
    return clock


class _Vending:
    """A REST catalog and an S3 server in one: it vends keys that live shortly, and refuses those that are over."""

    def __init__(self, web: Any, *, endpoint: bool = True, now: Callable[[], float] = time.time) -> None:
        self._web = web
        self._endpoint = endpoint
        self.now = now
        self._lock = threading.Lock()
        self.ends: list[float] = []
        self.used: set[str] = set()
        self.broken = False
        self.server = web.serve(self._answer)

    def vend(self, life: float = LIFE_SECONDS) -> dict[str, str]:
        with self._lock:
            self.ends.append(self.now() + life)
            return _keys(len(self.ends) - 1, self.ends[-1])

    def properties(self, **credentials: str) -> dict[str, str]:
        return {
            "s3.endpoint": self.server.url,
            "s3.region": "us-east-1",
            "lakeflow.credentials.table": json.dumps(["kg", "titles"]),
            "lakeflow.credentials.location": "s3://bucket/titles/",
            "lakeflow.credentials.catalog": json.dumps({"uri": self.server.url, "token": SECRET}),
            **credentials,
        }

    def _answer(self, request: Any) -> Any:
        path = request.path.partition("?")[0]
        if path.startswith("/bucket/"):
            return self._object(request)
        if self.broken:
            return self._web.answer(500, b"{}")
        if path == "/v1/config":
            return self._config()
        assert request.headers["authorization"] == f"Bearer {SECRET}"
        wide = {"prefix": "s3://bucket/", "config": {"s3.access-key-id": "wrong", "s3.secret-access-key": "x"}}
        if path == "/v1/namespaces/kg/tables/titles/credentials":
            right = {"prefix": "s3://bucket/titles/", "config": self.vend()}
            other = {"prefix": "s3://bucket/titles/other/", "config": wide["config"]}
            return self._json({"storage-credentials": [wide, right, other]})
        assert path == "/v1/namespaces/kg/tables/titles"
        return self._json({"metadata-location": "s3://bucket/titles/metadata/1.json", "metadata": METADATA,
                           "config": self.vend()})  # fmt: skip

    def _object(self, request: Any) -> Any:
        key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        self.used.add(key)
        if not key.startswith("key") or self.now() >= self.ends[int(key.removeprefix("key"))]:
            return self._web.answer(400, b"<Error><Code>ExpiredToken</Code></Error>")
        return self._web.ranged(request, DATA)

    def _config(self) -> Any:
        endpoints = ["GET /v1/{prefix}/namespaces/{namespace}/tables/{table}"]
        if self._endpoint:
            endpoints.append("GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials")
        return self._json({"defaults": {}, "overrides": {}, "endpoints": endpoints})

    def _json(self, value: Any) -> Any:
        return self._web.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


METADATA = {
    "format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "s3://bucket/titles",
    "last-sequence-number": 0, "last-updated-ms": 0, "last-column-id": 1, "current-schema-id": 0,
    "schemas": [{"type": "struct", "schema-id": 0, "fields": [
        {"id": 1, "name": "id", "required": True, "type": "long"}]}],
    "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
    "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}],
}  # fmt: skip


@pytest.mark.parametrize("endpoint", [True, False], ids=["credentials endpoint", "table loaded again"])
def test_reads_cross_the_end_of_their_credentials(web: Any, clock: _Clock, *, endpoint: bool) -> None:
    """Ranges are read for several lives of the keys that the catalog vends, and none is refused."""
    vending = _Vending(web, endpoint=endpoint, now=lambda: clock.now)
    transport = ObjectStoreTransport(vending.properties(**vending.vend()))

    async def read() -> None:
        many = [transport.get_range_async("s3://bucket/titles/data", start, 4) for start in range(8)]
        assert [bytes(each) for each in await asyncio.gather(*many)] == [DATA[i : i + 4] for i in range(8)]

    async def read_on() -> None:
        await read()
        for life in range(3):
            ends = vending.ends[life]
            clock.now = ends - LIFE_SECONDS / 10  # still good, and due
            await asyncio.sleep(OBSTORE_KEEPS_SECONDS)
            await read()
            assert f"key{life + 1}" in vending.used
            clock.now = ends + 1
            await read()

    asyncio.run(read_on())

    assert len(vending.ends) == 4


def test_a_worker_renews_by_the_description(web: Any) -> None:
    """What was pickled with keys that are over by now still opens: the first request asks for others."""
    vending = _Vending(web)
    carried = pickle.dumps(vending.properties(**vending.vend(life=-10)))

    got = open_transport(pickle.loads(carried)).get_range("s3://bucket/titles/data", 3, 4)

    assert bytes(got) == DATA[3:7]


def test_a_new_token_is_no_new_transport(web: Any) -> None:
    """Each load of a table brings other keys; connections and pools are those that were there."""
    vending = _Vending(web)
    one, two = (open_transport(vending.properties(**vending.vend())) for _ in range(2))

    assert one is two


def test_expired_keys_without_a_source_are_denied(web: Any) -> None:
    """Without a description of where to ask, the end of the keys is an error that says so."""
    vending = _Vending(web)
    transport = ObjectStoreTransport({"s3.endpoint": vending.server.url, **vending.vend(life=-10)})

    with pytest.raises(AccessDeniedError, match="ExpiredToken"):
        transport.get_range("s3://bucket/titles/data", 3, 4)


def test_a_catalog_that_is_down_may_be_retried(web: Any, clock: _Clock) -> None:
    """With no good keys left and a catalog that fails, a read is a StoreError without secrets; later it works."""
    vending = _Vending(web, now=lambda: clock.now)
    over = ObjectStoreTransport(vending.properties(**vending.vend(life=-10)))
    vending.broken = True

    with pytest.raises(StoreError) as caught:
        over.get_range("s3://bucket/titles/data", 3, 4)
    vending.broken = False
    clock.now += credentials._FAILED_SECONDS

    assert type(caught.value) is StoreError
    assert SECRET not in str(caught.value)
    assert bytes(over.get_range("s3://bucket/titles/data", 3, 4)) == DATA[3:7]


def function_for_tests() -> dict[str, str]:
    """What a user's function returns."""
    return {"gcs.oauth2.token": "fresh", "gcs.oauth2.token-expires-at": str(round((time.time() + 3600) * 1000))}


def raising_for_tests() -> dict[str, str]:
    """What a user's function may do."""
    raise RuntimeError(SECRET)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> str:
    """This module by a name that can be imported."""
    monkeypatch.setitem(sys.modules, "module_of_a_user", sys.modules[__name__])
    return "module_of_a_user"


def test_a_function_gives_credentials(web: Any, module: str) -> None:
    """`lakeflow.credentials.function` names a function of the user's; its token is sent."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    over = {"gcs.oauth2.token": "old", "gcs.oauth2.token-expires-at": "1"}
    properties = {"gcs.service.host": server.url, "lakeflow.credentials.function": f"{module}:function_for_tests"}

    ObjectStoreTransport({**properties, **over}).get_range("gs://bucket/key", 3, 4)

    assert [each.headers["authorization"] for each in server.requests] == ["Bearer fresh"]


def test_azure_signatures_are_renewed(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest signature of the account is in the URL."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    host = server.url.removeprefix("http://")
    name = "acc.dfs.core.windows.net"
    over = {f"adls.sas-token.{name}": "sv=1&sig=old", f"adls.sas-token-expires-at-ms.{name}": "1"}
    ends = str(round((time.time() + 3600) * 1000))
    fresh = {f"adls.sas-token.{name}": "sv=1&sig=new", f"adls.sas-token-expires-at-ms.{name}": ends}
    monkeypatch.setitem(sys.modules, "module_of_a_user", SimpleNamespace(fresh=lambda: fresh))
    transport = ObjectStoreTransport(
        {"adls.account-host": host, "adls.blob-storage-scheme": "http", **over,
         "lakeflow.credentials.function": "module_of_a_user:fresh"}
    )  # fmt: skip

    transport.get_range(f"abfss://box@{name}/key", 3, 4)

    assert "sig=new" in server.requests[0].path


@pytest.mark.parametrize("kind", [ObjectStoreTransport, Boto3Transport])
@pytest.mark.parametrize("used", [True, False], ids=["used before", "not used yet"])
def test_keys_of_another_cloud_are_told(web: Any, module: str, clock: _Clock, kind: Any, *, used: bool) -> None:
    """A function that gives Google's token for a bucket of S3's is a mistake that names what is missing."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    properties = {"s3.endpoint": server.url, "lakeflow.credentials.function": f"{module}:function_for_tests"}
    transport = kind({**properties, **_keys(0, clock.now + LIFE_SECONDS)})

    if used:
        transport.get_range("s3://bucket/key", 3, 4)
        time.sleep(OBSTORE_KEEPS_SECONDS)
    clock.now += LIFE_SECONDS + 1

    with pytest.raises(ConfigError, match=r"no s3\.access-key-id, but gcs\.oauth2\.token"):
        transport.get_range("s3://bucket/key", 3, 4)


def test_a_function_that_raises_shows_no_secret(module: str) -> None:
    """Its exception may hold anything, so only its type is told."""
    transport = ObjectStoreTransport(
        {"s3.endpoint": "http://127.0.0.1:1", "lakeflow.credentials.function": f"{module}:raising_for_tests"}
    )

    with pytest.raises(StoreError, match="RuntimeError") as caught:
        transport.get_range("s3://bucket/key", 0, 1)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "properties",
    [
        {"lakeflow.credentials.function": "nowhere:at_all"},
        {"lakeflow.credentials.function": "json:nothing"},
        {"lakeflow.credentials.function": ""} | {"lakeflow.credentials.table": "[]"},
        {"lakeflow.credentials.table": "{", "lakeflow.credentials.location": "", "lakeflow.credentials.catalog": "{}"},
    ],
)
def test_a_garbled_description_is_refused(properties: dict[str, str]) -> None:
    """It is named when the transport is made, not at the first read."""
    with pytest.raises(ConfigError, match=r"lakeflow\.credentials"):
        credential_source(properties)
