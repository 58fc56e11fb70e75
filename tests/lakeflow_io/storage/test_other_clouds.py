"""Properties become what Google's and Azure's stores need, and their answers are understood."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lakeflow_io.errors import AccessDeniedError, ConfigError, CorruptFileError
from lakeflow_io.storage import ObjectStoreTransport
from lakeflow_io.storage.azure import azure_options
from lakeflow_io.storage.gcs import gcs_options
from lakeflow_io.storage.location import Location

SECRET = "aHVudGVyMi1zM2NyM3Q="
AZURE = Location.parse("abfss://box@acc.dfs.core.windows.net/key")
PRINCIPAL = {"adls.tenant-id": "t", "adls.client-id": "c", "adls.client-secret": SECRET}
DATA = bytes(range(200))


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
    ("uri", "properties", "condition"),
    [
        ("gs://bucket/key", {"gcs.no-auth": "true", "gcs.service.host": "URL"}, ("x-goog-if-generation-match", "7")),
        (
            "abfss://box@acc.dfs.core.windows.net/key",
            {"adls.account-key": SECRET, "adls.account-host": "HOST", "adls.blob-storage-scheme": "http"},
            ("if-match", '"e"'),
        ),
    ],
    ids=["gcs", "azure"],
)
def test_what_is_known_is_replaced(web: Any, uri: str, properties: dict[str, str], condition: tuple[str, str]) -> None:
    """A tag holds what the store compares: Google's generation, Azure's ETag; what it refuses wasn't replaced."""
    facts = {"ETag": '"e"', "x-goog-generation": "7", "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    answers = [web.answer(200, b"old", facts),
               web.answer(304, b""), web.answer(201, b"", {"ETag": '"f"'}), web.answer(412, b"")]  # fmt: skip
    server = web.serve(lambda _: answers.pop(0))
    places = {"URL": server.url, "HOST": server.url.removeprefix("http://")}
    reached = {name: places.get(value, value) for name, value in properties.items()}
    transport = ObjectStoreTransport(reached)

    found = transport.get_if_changed(uri)
    assert found is not None
    unchanged = transport.get_if_changed(uri, found[1])
    outcome = [transport.put_if_unchanged(uri, b"new", found[1]) for _ in range(2)]

    assert (bytes(found[0]), unchanged, outcome) == (b"old", None, [True, False])
    assert server.requests[1].headers.get("if-none-match") == '"e"'
    assert [each.headers.get(condition[0]) for each in server.requests[2:]] == [condition[1]] * 2


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
