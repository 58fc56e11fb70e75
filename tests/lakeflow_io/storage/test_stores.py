"""Properties become what each cloud's store needs: where, as whom, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_io.errors import AccessDeniedError, ConfigError, CorruptFileError, LakeflowError, UnsupportedError
from lakeflow_io.storage import ObjectStoreTransport, open_transport
from lakeflow_io.storage.azure import azure_options
from lakeflow_io.storage.gcs import gcs_options
from lakeflow_io.storage.location import Location
from lakeflow_io.storage.s3 import s3_options
from lakeflow_io.storage.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

AES = base64.b64encode(bytes(32)).decode()
SECRET = "aHVudGVyMi1zM2NyM3Q="
KEYS = {"s3.access-key-id": "id", "s3.secret-access-key": SECRET}
AZURE = Location.parse("abfss://box@acc.dfs.core.windows.net/key")
PRINCIPAL = {"adls.tenant-id": "t", "adls.client-id": "c", "adls.client-secret": SECRET}
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


@pytest.mark.parametrize(
    ("properties", "sent"),
    [({"gcs.oauth2.token": SECRET}, f"Bearer {SECRET}"), ({"gcs.no-auth": "true"}, None)],
)
def test_gcs_is_read(web: Any, properties: dict[str, str], sent: str | None) -> None:
    """A bearer token is sent; without authentication, nothing is."""
    server = web.serve(lambda request: web.ranged(request, DATA))
    transport = ObjectStoreTransport({**properties, "gcs.service.host": server.url})

    got = transport.get_range("gs://bucket/a/key", 3, 4)
    tail = asyncio.run(transport.get_suffix_async("gs://bucket/a/key", 5))

    assert (bytes(got), bytes(tail[0]), tail[1]) == (DATA[3:7], DATA[-5:], len(DATA))
    assert [sent, sent] == [each.headers.get("authorization") for each in server.requests]


def test_gcs_is_written_without_credentials(web: Any) -> None:
    """`gcs.no-auth` holds for writes too: nobody looks for an instance's account."""
    server = web.serve(lambda _: web.answer(200, b"", {"ETag": '"e"'}))

    ObjectStoreTransport({"gcs.no-auth": "true", "gcs.service.host": server.url}).put("gs://bucket/key", b"x")

    assert [(each.method, each.body) for each in server.requests] == [("PUT", b"x")]


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"gcs.oauth2.token": SECRET, "gcs.no-auth": "true"}, "gcs.no-auth"),
        ({"gcs.oauth2.token": SECRET, "gcs.service-account-key": SECRET}, "gcs.service-account-key"),
        ({"gcs.requester-pays": "true"}, "gcs.requester-pays"),
        ({"gcs.service.host": "nowhere"}, "gcs.service.host"),
    ],
)
def test_wrong_gcs_properties_are_named(properties: dict[str, str], named: str) -> None:
    """A value that can't be, and two that contradict, name the property and no secret."""
    with pytest.raises(ConfigError) as caught:
        gcs_options(properties)

    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "properties",
    [
        {"adls.account-key": SECRET},
        {"adls.token": SECRET},
        {"adls.anon": "true"},
        {"adls.sas-token": "?sv=1&sig=hunter2"},
        {"adls.sas-token.acc.dfs.core.windows.net": "sv=1&sig=hunter2"},
        {"adls.connection-string": f"AccountName=acc;AccountKey={SECRET}"},
    ],
)
def test_azure_is_read(web: Any, properties: dict[str, str]) -> None:
    """Each kind of credential is sent where Azure looks for it, for the account that the URI names."""

    def answer(request: Any) -> Any:
        if request.method == "HEAD":
            return web.answer(200, DATA, {"ETag": '"e"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})
        return web.ranged(request, DATA)

    server = web.serve(answer)
    host = server.url.removeprefix("http://")
    local = {"adls.account-host": host, "adls.blob-storage-scheme": "http"}
    transport = ObjectStoreTransport({**properties, **local})

    got = transport.get_range("abfss://box@acc.dfs.core.windows.net/a/key", 3, 4)
    tail = asyncio.run(transport.get_suffix_async("abfss://box@acc.dfs.core.windows.net/a/key", 5))

    assert (bytes(got), bytes(tail[0]), tail[1]) == (DATA[3:7], DATA[-5:], len(DATA))
    request = server.requests[0]
    assert request.path.startswith("/box/a/key")
    assert ("sig=hunter2" in request.path) == any("sas" in name for name in properties)
    signed = request.headers.get("authorization", "")
    assert signed.startswith("SharedKey acc:") == any("AccountKey" in v or (v == SECRET and "key" in n)
                                                      for n, v in properties.items())  # fmt: skip
    assert (signed == f"Bearer {SECRET}") == ("adls.token" in properties)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (PRINCIPAL, {"tenant_id": "t", "client_id": "c", "client_secret": SECRET, "endpoint": None}),
        ({"adls.blob-storage-authority": ".blob.local"}, {"endpoint": "https://acc.blob.local"}),
        (
            {"adls.blob-storage-authority": "127.0.0.1:10000", "adls.blob-storage-scheme": "http"},
            {"endpoint": "http://127.0.0.1:10000/acc"},
        ),
        ({"adls.connection-string": "BlobEndpoint=http://h:1/acc;AccountName=acc"}, {"endpoint": "http://h:1/acc"}),
    ],
)
def test_azure_properties(properties: dict[str, str], expected: dict[str, Any]) -> None:
    """A principal, and endpoints as pyarrow's and Azurite's users write them."""
    options = azure_options(properties, AZURE)

    assert options["account_name"] == "acc"
    assert expected == {name: options.get(name) for name in expected}


def test_a_sovereign_cloud_is_told_by_the_uri() -> None:
    """The blob endpoint beside the data lake's host is asked."""
    location = Location.parse("abfss://box@acc.dfs.core.chinacloudapi.cn/key")

    assert azure_options({}, location)["endpoint"] == "https://acc.blob.core.chinacloudapi.cn"


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"adls.account-key": SECRET, "adls.token": SECRET}, "adls.account-key"),
        ({"adls.anon": "true", "adls.token": SECRET}, "adls.anon"),
        ({"adls.tenant-id": "t", "adls.client-id": "c"}, "adls.client-secret"),
        ({"adls.connection-string": f"nonsense {SECRET[:-1]}"}, "adls.connection-string"),
        ({"adls.credential": SECRET}, "adls.credential"),
        ({"adls.account-host": "a b"}, "adls.account-host"),
    ],
)
def test_wrong_azure_properties_are_named(properties: dict[str, str], named: str) -> None:
    """A value that can't be, and two that contradict, name the property and no secret."""
    with pytest.raises(ConfigError) as caught:
        azure_options(properties, AZURE)

    assert named in str(caught.value)
    assert SECRET[:-1] not in str(caught.value)


def test_azure_needs_an_account() -> None:
    """A container alone is in no account."""
    with pytest.raises(ConfigError, match="No Azure account"):
        azure_options({}, Location.parse("az://box/key"))


@pytest.mark.parametrize("verb", ["get", "get_range"])
def test_a_refused_signature_is_not_shown(web: Any, verb: str) -> None:
    """A shared access signature is part of Azure's URLs; neither the error nor its cause repeats it."""
    server = web.serve(lambda _: web.answer(403))
    properties = {"adls.sas-token": "sv=1&sig=hunter2", "adls.blob-storage-scheme": "http"}
    transport = ObjectStoreTransport({**properties, "adls.account-host": server.url.removeprefix("http://")})

    with pytest.raises(AccessDeniedError, match="adls") as caught:
        getattr(transport, verb)("az://box@acc/key", *([0, 5] if verb == "get_range" else []))

    shown: BaseException | None = caught.value
    while shown is not None:
        assert "hunter2" not in str(shown)
        shown = shown.__cause__


@pytest.mark.parametrize("start", [200, 1000])
def test_a_short_blob_is_corrupt(web: Any, start: int) -> None:
    """Azure may answer a range behind the end with what it has, which obstore words in its own way."""
    headers = {"ETag": '"e"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT", "Content-Range": "bytes 0-199/200"}
    server = web.serve(lambda _: web.answer(206, DATA, headers))
    host = server.url.removeprefix("http://")
    properties = {"adls.anon": "true", "adls.account-host": host, "adls.blob-storage-scheme": "http"}

    with pytest.raises(CorruptFileError, match="ends too early"):
        ObjectStoreTransport(properties).get_range("az://box@acc/key", start, 5)


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
