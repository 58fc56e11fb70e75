"""The second transport: a session of the caller's own is used, and the properties mean what they mean to the first."""

from __future__ import annotations

import asyncio
import base64
import socket
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from lakeflow_io.errors import AccessDeniedError, ConfigError, StoreError, ThrottledError, UnsupportedError
from lakeflow_io.storage import ObjectStoreTransport, open_transport
from lakeflow_io.storage.boto3_transport import Boto3Transport
from lakeflow_io.storage.upload import PART_BYTES

if TYPE_CHECKING:
    from lakeflow.demo.seaweed import Seaweed

DATA = bytes(range(200))
SECRET = "hunter2-s3cr3t"
KEYS = {"s3.access-key-id": "id", "s3.secret-access-key": SECRET, "s3.region": "us-east-1"}
AES = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of a user's, by the name `module_of_a_user`."""
    found = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "module_of_a_user", found)
    return found


def _session() -> Any:
    return boto3.Session(aws_access_key_id="mine", aws_secret_access_key=SECRET, region_name="eu-west-1")


SESSION = {"lakeflow.s3.session": "module_of_a_user:session"}


@pytest.mark.parametrize("named", [{}, KEYS, {"s3.role-arn": "arn:aws:iam::123456789012:role/reader"}])
def test_a_session_of_the_callers_signs(web: Any, module: Any, named: dict[str, str]) -> None:
    """The function that the property names is called; its session's keys and region go before all properties."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    module.session = _session
    transport = open_transport({**named, **SESSION, "s3.endpoint": server.url})

    got = transport.get_range("s3://bucket/a/key", 3, 4)

    signed = server.requests[0].headers["authorization"]
    assert bytes(got) == DATA[3:7]
    assert "Credential=mine/" in signed
    assert "/eu-west-1/s3/" in signed


def _raises() -> None:
    raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("function", "properties", "error", "named"),
    [
        (dict, {}, ConfigError, "returned dict"),
        (_raises, {}, StoreError, "RuntimeError"),
        (_session, {"s3.anonymous": "true"}, ConfigError, "contradicts"),
        (_session, {"lakeflow.s3.transport": "obstore"}, ConfigError, "contradicts"),
        (_session, {"lakeflow.s3.session": "module_of_a_user:nothing"}, ConfigError, r"lakeflow\.s3\.session"),
        (_session, {"lakeflow.s3.session": "module_of_nobody:session"}, ConfigError, r"lakeflow\.s3\.session"),
    ],
)
def test_what_is_no_session_is_refused(
    module: Any, function: Any, properties: dict[str, str], error: type[Exception], named: str
) -> None:
    """When the transport is opened, without what the function said."""
    module.session = function

    with pytest.raises(error, match=named) as caught:
        open_transport({**SESSION, **properties})

    assert SECRET not in str(caught.value)


def test_only_ranged_reads_are_asked_for_once(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All other verbs are repeated as often as boto3 is told."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    server = web.serve(lambda _: web.answer(503, b"<Error><Code>SlowDown</Code></Error>"))
    transport = Boto3Transport({**KEYS, "s3.endpoint": server.url})

    def requests(call: Any) -> int:
        before = len(server.requests)
        with pytest.raises(ThrottledError):
            call()
        return len(server.requests) - before

    assert requests(lambda: transport.get_range("s3://bucket/key", 0, 5)) == 1
    assert requests(lambda: asyncio.run(transport.get_suffix_async("s3://bucket/key", 5))) == 1
    assert requests(lambda: transport.get("s3://bucket/key")) == 2


def test_arguments_go_where_they_are_known(web: Any) -> None:
    """Who pays and the customer's key reach each operation that has them, and break none that hasn't."""

    def answer(request: Any) -> Any:
        if "list-type" in request.path:
            return web.answer(200, b"<ListBucketResult></ListBucketResult>")
        return web.ranged(request, DATA) if request.method == "GET" else web.answer(200)

    server = web.serve(answer)
    extra = {"s3.requester-pays": "true", "s3.sse.type": "custom", "s3.sse.key": AES}
    transport = Boto3Transport({**KEYS, **extra, "s3.endpoint": server.url})

    transport.get_range("s3://bucket/key", 0, 5)
    transport.put("s3://bucket/key", b"x")
    transport.put_if_absent("s3://bucket/key", b"x")
    list(transport.list("s3://bucket/folder"))
    transport.delete("s3://bucket/key")

    assert {each.headers["x-amz-request-payer"] for each in server.requests} == {"requester"}
    keys = [each.headers.get("x-amz-server-side-encryption-customer-key") for each in server.requests]
    assert keys == [AES, AES, AES, None, None]


@pytest.mark.parametrize(
    ("one", "other"), [(ObjectStoreTransport, Boto3Transport), (Boto3Transport, ObjectStoreTransport)]
)
def test_customer_keys_encrypt(seaweed: Seaweed, namespace: str, one: Any, other: Any) -> None:
    """What one transport wrote with a key, small or in parts, the other reads with it, and nobody without."""
    with_key = {**seaweed.store_properties, "s3.sse.type": "custom", "s3.sse.key": AES}
    small, large = f"s3://plain/{namespace}/small", f"s3://plain/{namespace}/large"
    data = DATA * (3 * PART_BYTES // len(DATA))

    one(with_key).put(small, DATA)
    with one(with_key).open_output(large) as file:
        file.write(data)

    reader = other(with_key)
    assert bytes(reader.get_range(small, 3, 4)) == DATA[3:7]
    assert bytes(reader.get_range(large, PART_BYTES - 2, 400)) == data[PART_BYTES - 2 : PART_BYTES + 398]
    with pytest.raises(StoreError):
        other(seaweed.store_properties).get(small)


def test_a_property_chooses_it() -> None:
    """`lakeflow.s3.transport` names one of the two."""
    chosen = open_transport({**KEYS, "lakeflow.s3.transport": "boto3"})

    assert isinstance(chosen, Boto3Transport)
    assert isinstance(open_transport({**KEYS, "lakeflow.s3.transport": "obstore"}), ObjectStoreTransport)
    with pytest.raises(ConfigError, match=r"lakeflow\.s3\.transport"):
        open_transport({**KEYS, "lakeflow.s3.transport": "carrier pigeon"})


@pytest.mark.parametrize("uri", ["file:///a", "gs://b/k", "memory://b/k"])
def test_other_stores_are_refused(uri: str) -> None:
    """S3 is all that boto3 reaches."""
    with pytest.raises(UnsupportedError, match=uri):
        Boto3Transport(KEYS).get_range(uri, 0, 5)


def test_nothing_to_sign_with_is_denied(web: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Without any credentials the properties that set them are named."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    server = web.serve(lambda request: web.ranged(request, DATA))

    with pytest.raises(AccessDeniedError, match="No usable credentials"):
        Boto3Transport({"s3.endpoint": server.url}).get_range("s3://bucket/key", 0, 5)

    anonymous = Boto3Transport({"s3.endpoint": server.url, "s3.anonymous": "true"})
    assert bytes(anonymous.get_range("s3://bucket/key", 0, 5)) == DATA[:5]


def test_a_name_that_boto3_refuses_is_a_config_error() -> None:
    """It is told before a request, without what boto3 says."""
    with pytest.raises(ConfigError, match="s3://bucket/"):
        Boto3Transport(KEYS).get_range("s3://bucket/", 0, 5)


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({**KEYS, "s3.anonymous": "true"}, "s3.anonymous"),
        ({"s3.signer": "S3V4RestSigner"}, "s3.signer"),
        ({"s3.access-key-id": "id"}, "s3.secret-access-key"),
        ({"s3.profile-name": "nobody"}, "s3.profile-name"),
    ],
)
def test_wrong_properties_are_named(properties: dict[str, str], named: str) -> None:
    """As by the default transport."""
    with pytest.raises(ConfigError, match=named):
        Boto3Transport(properties)


def test_credentials_are_renewed(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are over when the transport is made are replaced before the first request."""
    ends = str(round((time.time() + 3600) * 1000))
    server = web.serve(lambda request: web.ranged(request, DATA))
    properties = {
        **KEYS, "s3.session-token": "t", "s3.session-token-expires-at-ms": "1", "s3.endpoint": server.url,
        "lakeflow.credentials.function": "user_module:fresh",
    }  # fmt: skip
    fresh = {"s3.access-key-id": "fresh", "s3.secret-access-key": SECRET, "s3.session-token-expires-at-ms": ends}
    monkeypatch.setitem(sys.modules, "user_module", SimpleNamespace(fresh=lambda: fresh))

    Boto3Transport(properties).get_range("s3://bucket/key", 0, 5)

    assert "Credential=fresh/" in server.requests[0].headers["authorization"]


def test_a_request_that_is_cancelled_is_dropped() -> None:
    """When its task is cancelled, a body that trickles in is read no further and its connection ends."""
    asked, gone = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 206 Partial Content\r\nContent-Length: 100000000\r\n"
                b"Content-Range: bytes 0-99999999/100000000\r\n\r\n"
            )
            asked.set()
            try:
                for _ in range(100):
                    connection.sendall(bytes(1_000_000))
            except OSError:
                gone.set()

    async def abandon(transport: Boto3Transport) -> None:
        task = asyncio.create_task(transport.get_range_async("s3://bucket/key", 0, 100_000_000))
        await asyncio.to_thread(asked.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(gone.wait, 30)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        asyncio.run(abandon(Boto3Transport({**KEYS, "s3.endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}"})))
        thread.join()


@pytest.mark.parametrize("undone", [True, False])
def test_a_part_that_is_refused_undoes_the_upload(web: Any, *, undone: bool) -> None:
    """The store is told to forget the parts it has, and the writer why, also where the store doesn't."""

    def answer(request: Any) -> Any:
        if request.method == "POST":
            body = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            return web.answer(200, body.encode())
        return web.answer((204 if undone else 404) if request.method == "DELETE" else 403)

    server = web.serve(answer)
    file = Boto3Transport({**KEYS, "s3.endpoint": server.url}).open_output("s3://bucket/key")

    with pytest.raises(AccessDeniedError) as caught, file:
        file.write(bytes(2 * PART_BYTES))

    last = server.requests[-1]
    assert (last.method, last.path) == ("DELETE", "/bucket/key?uploadId=u1")
    assert undone == (not getattr(caught.value, "__notes__", []))
