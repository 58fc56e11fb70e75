"""Credentials reach the store as they were meant, and stand in no message."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import AccessDeniedError, ConfigError, LakeflowError, StoreError
from lakeflow_io.storage import ObjectStoreTransport, open_transport
from lakeflow_io.storage.location import Location
from lakeflow_io.storage.properties import store_properties
from lakeflow_io.storage.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "aHVudGVyMi1zM2NyM3Q="
KEYS = {"s3.access-key-id": "id", "s3.secret-access-key": SECRET}
DATA = bytes(range(200))


@pytest.mark.parametrize("kind", ["obstore", "boto3"])
def test_white_space_around_a_value_is_none_of_it(web: Any, kind: str) -> None:
    """Keys from a file that ends in a line break are sent as the keys they are."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    properties = {
        "s3.access-key-id": "id\n", "s3.secret-access-key": f" {SECRET}\r\n", "s3.session-token": "token\n",
        "s3.endpoint": f"{server.url}\n", "s3.region": "eu-west-1\n", "lakeflow.s3.transport": kind,
    }  # fmt: skip

    got = open_transport(store_properties(properties)).get_range("s3://bucket/key", 3, 4)

    assert bytes(got) == DATA[3:7]
    assert server.requests[0].headers["x-amz-security-token"] == "token"
    assert "Credential=id/" in server.requests[0].headers["authorization"]


@pytest.mark.parametrize("name", ["s3.access-key-id", "client.session-token", "s3.region", "gcs.oauth2.token"])
@pytest.mark.parametrize("value", ["one\ntwo", "\u201chunter2\u201d", "a\x00b"])
def test_what_no_header_carries_is_refused(name: str, value: str) -> None:
    """Line breaks within and quotes of a word processor are told by the property's name, not by its value."""
    with pytest.raises(ConfigError, match=name) as caught:
        store_properties({name: value})

    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "read",
    [
        lambda transport: transport.get("s3://bucket/key"),
        lambda transport: asyncio.run(transport.get_range_async("s3://bucket/key", 0, 5)),
    ],
    ids=["a thread", "a task"],
)
def test_a_panic_beneath_is_an_error_of_ours(read: Callable[[ObjectStoreTransport], object]) -> None:
    """What obstore panics over where it comes past the properties is an Exception, and shows no key."""
    transport = ObjectStoreTransport({**KEYS, "s3.access-key-id": "hunter2\n", "s3.endpoint": "http://127.0.0.1:1"})

    with pytest.raises(ConfigError, match="s3://bucket/key") as caught:
        read(transport)

    assert "hunter2" not in str(caught.value)


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_what_boto3_can_not_send_is_not_shown(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of the environment with a line break is refused by Python's HTTP client, which repeats it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hunter2\nhunter3")
    server = web.serve(lambda request: web.ranged(request, DATA))
    transport = open_transport({"s3.endpoint": server.url, "lakeflow.s3.transport": "boto3"})

    with pytest.raises(ConfigError, match="s3://bucket/key") as caught:
        transport.get_range("s3://bucket/key", 0, 5)

    assert "hunter" not in _told(caught.value)


@pytest.mark.parametrize(
    ("uri", "properties"),
    [
        ("s3://bucket/key", {**KEYS, "s3.endpoint": "http://user:hunter2@h:1"}),
        ("s3://bucket/key", {**KEYS, "s3.endpoint": "https://h/?token=hunter2"}),
        ("gs://bucket/key", {"gcs.service.host": "https://user:hunter2@h"}),
        ("az://box@acc/key", {"adls.connection-string": "BlobEndpoint=https://h/acc?sv=1&sig=hunter2"}),
        ("az://box@acc/key", {"adls.connection-string": "BlobEndpoint=h/acc?sv=1&sig=hunter2"}),
        ("az://box@acc/key", {"adls.account-host": "user:hunter2@h"}),
    ],
)
def test_an_address_with_a_secret_is_refused(uri: str, properties: dict[str, str]) -> None:
    """Every message about a store names its address, so that holds no password and no query."""
    with pytest.raises(ConfigError) as caught:
        open_store(Location.parse(uri), properties, once=True)

    assert "hunter2" not in _told(caught.value)


def test_a_proxy_may_have_a_password() -> None:
    """There is no other place for it."""
    open_store(Location.parse("s3://bucket/key"), {**KEYS, "s3.proxy-uri": "http://user:pw@h:1"}, once=True)


def test_an_unknown_option_is_not_repeated() -> None:
    """A credential under a mistaken name is told by its name."""
    with pytest.raises(ConfigError, match="aws_secret") as caught:
        lf.scan_parquet("nowhere", aws_secret=SECRET)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("status", [403, 404, 500])
@pytest.mark.parametrize("name", ["X-Amz-Signature", "sig", "Signature"])
def test_a_signed_address_is_not_repeated(web: Any, status: int, name: str) -> None:
    """Whoever reads a message can't open what it is about: neither the error nor its cause has the signature."""
    server = web.serve(lambda _: web.answer(status))
    uri = f"{server.url}/a.parquet?x=1&{name}=hunter2"

    with pytest.raises(StoreError, match=r"a\.parquet") as caught:
        ObjectStoreTransport({}).get_range(uri, 0, 5)

    assert "hunter2" not in _told(caught.value)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://h/a?sig=x does not exist.", "https://h/a?*** does not exist."),
        ("No files in 'https://h/a?sig=x'.", "No files in 'https://h/a?***'."),
        ("http://h/a?sig=x: refused.", "http://h/a?***: refused."),
        ("s3://b/a?b is no query.", "s3://b/a?b is no query."),
        ("https://h/a is whole; what now?", "https://h/a is whole; what now?"),
    ],
)
def test_any_error_cuts_queries(said: str, shown: str) -> None:
    """Wherever an address is named, and in a copy that came from another process."""
    error = LakeflowError(said)

    assert error.message == shown
    assert str(AccessDeniedError(*error.args)) == shown
