"""Properties become what a store needs: where, as whom, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import ConfigError, LakeflowError, UnsupportedError
from lakeflow_io.storage import ObjectStoreTransport, open_transport
from lakeflow_io.storage.location import Location
from lakeflow_io.storage.s3 import s3_options
from lakeflow_io.storage.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

AES = base64.b64encode(bytes(32)).decode()
SECRET = "aHVudGVyMi1zM2NyM3Q="
KEYS = {"s3.access-key-id": "id", "s3.secret-access-key": SECRET}
DATA = bytes(range(200))


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (KEYS, {"access_key_id": "id", "secret_access_key": SECRET, "region": "us-east-1"}),
        ({**KEYS, "client.session-token": "t"}, {"access_key_id": "id", "session_token": None}),
        ({**KEYS, "s3.session-token": "t"}, {"session_token": "t"}),
        ({"client.access-key-id": "c", "client.secret-access-key": SECRET}, {"access_key_id": "c"}),
        ({**KEYS, "client.access-key-id": "c", "client.secret-access-key": "d"}, {"access_key_id": "id"}),
        ({**KEYS, "s3.region": "eu-west-1", "client.region": "x"}, {"region": "eu-west-1"}),
        ({**KEYS, "client.region": "eu-west-1"}, {"region": "eu-west-1"}),
        ({**KEYS, "s3.endpoint": "http://h:1/"}, {"endpoint": "http://h:1", "virtual_hosted_style_request": False}),
        (
            {**KEYS, "s3.endpoint": "http://h:1", "s3.force-virtual-addressing": "true"},
            {"endpoint": "http://bucket.h:1", "virtual_hosted_style_request": True},
        ),
        (
            {**KEYS, "s3.endpoint": "http://bucket.h:1", "s3.force-virtual-addressing": "True"},
            {"endpoint": "http://bucket.h:1"},
        ),
        ({"s3.anonymous": "true"}, {"skip_signature": True, "access_key_id": None}),
        ({**KEYS, "s3.requester-pays": "true"}, {"request_payer": True}),
        ({**KEYS, "s3.server-side-encryption": "AES256"}, {"server_side_encryption": "AES256"}),
        (
            {**KEYS, "s3.server-side-encryption": "aws:kms", "s3.sse-kms-key-id": "k"},
            {"server_side_encryption": "aws:kms", "sse_kms_key_id": "k"},
        ),
        (
            {**KEYS, "s3.sse.type": "kms", "s3.sse.key": "k"},
            {"server_side_encryption": "aws:kms", "sse_kms_key_id": "k"},
        ),
        (
            {**KEYS, "s3.sse.type": "custom", "s3.sse.key": AES},
            {"server_side_encryption": "sse-c", "sse_customer_key_base64": AES},
        ),
        ({**KEYS, "s3.sse.type": "none"}, {"server_side_encryption": None}),
    ],
)
def test_s3_properties(properties: dict[str, str], expected: dict[str, Any]) -> None:
    """Each documented property reaches the store; keys of the catalog's family aren't mixed in."""
    options = s3_options(properties, "bucket")

    assert expected == {name: options.get(name) for name in expected}


def test_time_limits_and_proxy() -> None:
    """`s3.request-timeout` is how long the store may be silent, not how long a body may take."""
    properties = {**KEYS, "s3.connect-timeout": "2.5", "s3.request-timeout": "7", "s3.proxy-uri": "http://proxy:3128"}

    client = s3_options(properties, "bucket")["client_options"]

    assert client == {
        "timeout": "300000ms", "connect_timeout": "2500ms", "read_timeout": "7000ms", "proxy_url": "http://proxy:3128",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"s3.access-key-id": "id"}, "s3.secret-access-key"),
        ({"s3.secret-access-key": SECRET}, "s3.access-key-id"),
        ({"client.access-key-id": "id"}, "client.secret-access-key"),
        ({**KEYS, "s3.anonymous": "true"}, "s3.anonymous"),
        ({**KEYS, "s3.anonymous": "perhaps"}, "s3.anonymous"),
        ({**KEYS, "s3.force-virtual-addressing": "2"}, "s3.force-virtual-addressing"),
        ({**KEYS, "s3.connect-timeout": "soon"}, "s3.connect-timeout"),
        ({**KEYS, "s3.request-timeout": "-1"}, "s3.request-timeout"),
        ({**KEYS, "s3.endpoint": "minio:9000"}, "s3.endpoint"),
        ({**KEYS, "s3.proxy-uri": f"user:{SECRET}@proxy"}, "s3.proxy-uri"),
        ({**KEYS, "s3.proxy-uri": f"ftp://user:{SECRET}@proxy"}, "s3.proxy-uri"),
        ({**KEYS, "s3.server-side-encryption": "rot13"}, "s3.server-side-encryption"),
        ({**KEYS, "s3.sse.type": "rot13"}, "s3.sse.type"),
        ({**KEYS, "s3.sse.type": "custom"}, "s3.sse.key"),
        ({**KEYS, "s3.sse.type": "custom", "s3.sse.key": SECRET}, "s3.sse.key"),
        ({"s3.signer": "S3V4RestSigner"}, "s3.signer"),
        ({"s3.profile-name": "nobody"}, "s3.profile-name"),
    ],
)
def test_wrong_s3_properties_are_named(properties: dict[str, str], named: str) -> None:
    """A value that can't be, and two that contradict, name the property and no secret."""
    with pytest.raises(ConfigError) as caught:
        s3_options(properties, "bucket")

    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("kind", ["obstore", "boto3"])
def test_a_role_is_assumed(web: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """`s3.role-arn` is exchanged at STS for keys, with which objects are then read, over either transport."""
    credentials = "".join(
        f"<{name}>{value}</{name}>"
        for name, value in {
            "AccessKeyId": "assumed", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z",
        }.items()
    )  # fmt: skip

    def answer(request: Any) -> Any:
        if request.method == "POST":
            inner = f"<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>"
            return web.answer(200, f"<AssumeRoleResponse>{inner}</AssumeRoleResponse>".encode())
        return web.ranged(request, DATA)

    server = web.serve(answer)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    role = {"s3.role-arn": "arn:aws:iam::123456789012:role/reader", "s3.role-session-name": "me"}

    transport = open_transport({**KEYS, **role, "s3.endpoint": server.url, "lakeflow.s3.transport": kind})
    got = transport.get_range("s3://bucket/key", 3, 4)

    assert bytes(got) == DATA[3:7]
    exchange, read = server.requests
    assert b"role%2Freader" in exchange.body
    assert b"RoleSessionName=me" in exchange.body
    assert "Credential=assumed/" in read.headers["authorization"]


def test_a_profile_of_boto3_is_used(web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3.profile-name` takes keys and region from AWS's own files."""
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = profiled\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    server = web.serve(lambda request: web.ranged(request, DATA))

    ObjectStoreTransport({"s3.profile-name": "mine", "s3.endpoint": server.url}).get_range("s3://bucket/key", 3, 4)

    signed = server.requests[0].headers["authorization"]
    assert "Credential=profiled/" in signed
    assert "/eu-north-1/s3/" in signed


def test_requester_pays_and_customer_keys_reach_the_store(web: Any) -> None:
    """Both travel as the headers that S3 documents, with reads too."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    extra = {"s3.requester-pays": "true", "s3.sse.type": "custom", "s3.sse.key": AES}

    ObjectStoreTransport({**KEYS, **extra, "s3.endpoint": server.url}).get_range("s3://bucket/key", 3, 4)

    headers = server.requests[0].headers
    assert headers["x-amz-request-payer"] == "requester"
    assert headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    assert headers["x-amz-server-side-encryption-customer-key"] == AES


def test_a_profile_without_keys_has_a_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are an instance's, say; where the bucket is stands in the profile."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert s3_options({"s3.profile-name": "mine"}, "bucket")["region"] == "eu-north-1"


def test_the_web_is_read_and_not_written(web: Any) -> None:
    """Files behind http are got whole and in parts; all other verbs are refused."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    transport, uri = ObjectStoreTransport({}), f"{server.url}/a/b.parquet"

    got = [transport.get(uri), transport.get_range(uri, 3, 4), asyncio.run(transport.get_suffix_async(uri, 5))[0]]

    assert [bytes(each) for each in got] == [DATA, DATA[3:7], DATA[-5:]]
    assert {each.path for each in server.requests} == {"/a/b.parquet"}
    for verb in (transport.delete, lambda uri: list(transport.list(uri)), lambda uri: transport.put(uri, b""),
                 lambda uri: transport.put_if_absent(uri, b"")):  # fmt: skip
        with pytest.raises(UnsupportedError, match="read"):
            verb(uri)


@pytest.mark.parametrize(
    ("uri", "properties"),
    [
        ("az://box@acc/key", {"adls.account-key": "!!hunter2"}),
        ("az://box@acc/key", {"adls.sas-token": "hunter2"}),
        ("gs://bucket/key", {"gcs.service-account-key": "hunter2"}),
        ("gs://bucket/key", {"gcs.application-credentials": "/nowhere/key.json"}),
        ("s3://bucket/key", {**KEYS, "s3.proxy-uri": "http://user:hunter2@[::bad"}),
    ],
)
def test_what_obstore_does_not_take_is_a_config_error(uri: str, properties: dict[str, str]) -> None:
    """Values that only the library beneath can judge are refused in our words, without the value."""
    with pytest.raises(LakeflowError) as caught:
        open_store(Location.parse(uri), properties, once=True)

    assert type(caught.value) is ConfigError
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(pickle.dumps(caught.value))
