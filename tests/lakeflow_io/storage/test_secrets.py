"""Credentials reach the store as they were meant, and stand in no message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage import ObjectStoreTransport, open_transport
from lakeflow_io.storage.properties import store_properties

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
