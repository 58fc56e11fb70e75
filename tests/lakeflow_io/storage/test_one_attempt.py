"""Ranged reads make one attempt, and their errors say whether another one helps."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from loopback import free_port

from lakeflow_io.errors import AccessDeniedError, ConfigError, ObjectNotFoundError, StoreError, ThrottledError
from lakeflow_io.storage import ObjectStoreTransport
from lakeflow_io.storage.boto3_transport import Boto3Transport

if TYPE_CHECKING:
    from lakeflow_io.storage import Transport

SECRET = "hunter2-s3cr3t"
VERBS = [("get_range", 5, 100), ("get_range_async", 5, 100), ("get_suffix_async", 100)]
# The object's name says what the server does: an answer's status, S3's code for it, and what we make of it.
REFUSALS = [
    (500, "InternalError", StoreError), (502, "", StoreError), (504, "", StoreError),
    (503, "SlowDown", ThrottledError), (503, "ServiceUnavailable", ThrottledError), (429, "", ThrottledError),
    (400, "RequestLimitExceeded", ThrottledError),
    (403, "AccessDenied", AccessDeniedError), (401, "", AccessDeniedError), (400, "ExpiredToken", AccessDeniedError),
    (404, "NoSuchKey", ObjectNotFoundError),
    (301, "PermanentRedirect", ConfigError), (400, "AuthorizationHeaderMalformed", ConfigError),
]  # fmt: skip


@pytest.fixture(scope="module", params=[ObjectStoreTransport, Boto3Transport], ids=["obstore", "boto3"])
def refusing(request: pytest.FixtureRequest, lasting_web: Any) -> tuple[Transport, list[str]]:
    """A transport to a server that answers `/bucket/503-SlowDown` so, and the requests that it got."""
    seen: list[str] = []

    def answer(asked: Any) -> Any:
        name = asked.path.split("?")[0].removeprefix("/bucket").removeprefix("/") or "500-bucket"
        seen.append(f"{asked.method} {name}")
        if name == "hangup":
            return lasting_web.answer(500, hang_up=True)
        if name == "cut":
            found = lasting_web.ranged(asked, b"x" * 105)
            return lasting_web.answer(206, found.body, found.headers, cut=50)
        status, _, code = name.partition("-")
        body = f"<Error><Code>{code}</Code><Message>m</Message><Region>eu-west-1</Region></Error>"
        return lasting_web.answer(int(status), body.encode())

    return _transport(lasting_web.serve(answer).url, request.param), seen


def _transport(endpoint: str, kind: type[Any] = ObjectStoreTransport) -> Transport:
    return kind(
        {"s3.endpoint": endpoint, "s3.access-key-id": "a", "s3.secret-access-key": SECRET, "s3.region": "us-east-1"}
    )


def _read(transport: Transport, uri: str, verb: str, *arguments: int) -> Any:
    async def wait() -> Any:
        return await getattr(transport, verb)(uri, *arguments)

    return asyncio.run(wait()) if verb.endswith("_async") else getattr(transport, verb)(uri, *arguments)


@pytest.mark.parametrize("call", VERBS, ids=lambda call: call[0])
@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_a_refusal_is_asked_for_once(
    refusing: tuple[Transport, list[str]], call: Any, status: int, code: str, kind: type[Exception]
) -> None:
    """One request is made, no HEAD, and the error's class tells what kind of trouble it is."""
    transport, seen = refusing
    seen.clear()
    uri = f"s3://bucket/{status}-{code}"

    with pytest.raises(kind) as caught:
        _read(transport, uri, *call)

    assert type(caught.value) is kind
    assert uri in caught.value.message
    assert seen == [f"GET {status}-{code}"]
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("call", VERBS, ids=lambda call: call[0])
@pytest.mark.parametrize("name", ["cut", "hangup"])
def test_a_cut_answer_is_not_repeated(refusing: tuple[Transport, list[str]], name: str, call: Any) -> None:
    """A connection that ends before or within the body is a StoreError that a retry may cure."""
    transport, seen = refusing
    seen.clear()

    with pytest.raises(StoreError) as caught:
        _read(transport, f"s3://bucket/{name}", *call)

    assert type(caught.value) is StoreError
    assert seen == [f"GET {name}"]


@pytest.mark.parametrize("kind", [ObjectStoreTransport, Boto3Transport], ids=["obstore", "boto3"])
def test_a_whole_object_survives_a_cut_body(web: Any, kind: Any) -> None:
    """`get` is repeated inside: the body that broke off once comes whole."""
    data = bytes(range(250)) * 4000
    seen: list[str] = []

    def answer(request: Any) -> Any:
        seen.append(request.headers.get("range", "all"))
        if len(seen) == 1:
            return web.answer(200, data, {"ETag": '"e"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}, cut=500_000)
        found = web.ranged(request, data)
        return found if "range" in request.headers else web.answer(200, data, found.headers)

    got = _transport(web.serve(answer).url, kind).get("s3://bucket/key")

    assert data == bytes(got)
    assert len(seen) == 2


@pytest.mark.parametrize("call", VERBS, ids=lambda call: call[0])
def test_nobody_there_may_be_retried(call: Any) -> None:
    """A refused connection is a plain StoreError, at once."""
    with pytest.raises(StoreError) as caught:
        _read(_transport(f"http://127.0.0.1:{free_port()}"), "s3://bucket/key", *call)

    assert type(caught.value) is StoreError


@pytest.mark.parametrize("name", ["301-PermanentRedirect", "400-AuthorizationHeaderMalformed"])
def test_a_wrong_region_names_the_property(refusing: tuple[Transport, list[str]], name: str) -> None:
    """The message says that the region is wrong, and the hint which property sets it."""
    with pytest.raises(ConfigError, match="not in the region") as caught:
        refusing[0].get_range(f"s3://bucket/{name}", 0, 10)

    assert "s3.region" in str(caught.value.hint)


@pytest.mark.parametrize("call", VERBS[1:], ids=lambda call: call[0])
def test_cancelling_drops_the_request(call: Any) -> None:
    """When a task is cancelled, the server sees its connection end."""
    verb, *arguments = call
    asked = threading.Event()
    gone = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            connection.recv(65536)
            asked.set()
            if connection.recv(1) == b"":
                gone.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        transport = _transport(f"http://127.0.0.1:{listener.getsockname()[1]}")

        async def abandon() -> None:
            task = asyncio.create_task(getattr(transport, verb)("s3://bucket/key", *arguments))
            await asyncio.to_thread(asked.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(gone.wait, 30)

        asyncio.run(abandon())
        thread.join()
