"""What is missing is said to be missing, whatever its name looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError
from lakeflow_io.storage import MemoryTransport, ObjectStoreTransport
from lakeflow_io.storage.boto3_transport import Boto3Transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow_io.storage import Transport

# Status codes and phrases that an error's text may be searched for.
NAMES = ["416", "data-416a.parquet", "range was invalid", "403 Forbidden", "401 Unauthorized", "credential.parquet",
         "os error 28", "404", "already exists", "no such file"]  # fmt: skip


@pytest.fixture(params=["memory", "local", "s3", "boto3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> tuple[Transport, str]:
    """A transport, and the URI of an empty folder in it."""
    if request.param == "memory":
        return MemoryTransport(), "memory://tests/folder"
    if request.param == "local":
        return ObjectStoreTransport({}), f"file://{tmp_path}/folder"
    server = request.getfixturevalue("seaweed")
    kind = Boto3Transport if request.param == "boto3" else ObjectStoreTransport
    return kind(server.store_properties), f"s3://plain/{namespace}"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_object_is_not_found(store: tuple[Transport, str], name: str) -> None:
    """`get` and `get_range` name the object, and don't take its name for a status."""
    transport, base = store
    uri = join(base, name, "object")

    for read in (lambda: transport.get(uri), lambda: transport.get_range(uri, 5, 10)):
        with pytest.raises(ObjectNotFoundError) as caught:
            read()

        assert uri in caught.value.message
    transport.delete(uri)


@pytest.mark.parametrize("name", NAMES)
def test_an_object_that_is_too_short_is_corrupt(store: tuple[Transport, str], name: str) -> None:
    """A range at, over and behind the end is told apart from an object that isn't there."""
    transport, base = store
    uri = join(base, name, "object")
    transport.put(uri, b"0123456789")

    for start, length in ((5, 10), (10, 1), (100, 5)):
        with pytest.raises(CorruptFileError, match="ends too early"):
            transport.get_range(uri, start, length)

    assert bytes(transport.get_range(uri, 5, 5)) == b"56789"


@pytest.mark.parametrize("name", NAMES)
def test_such_names_hold_objects(store: tuple[Transport, str], name: str) -> None:
    """They are written once, found present, listed and deleted like any other."""
    transport, base = store
    uri = join(base, name, "object")

    assert [transport.put_if_absent(uri, b"first"), transport.put_if_absent(uri, b"second")] == [True, False]
    assert bytes(transport.get(uri)) == b"first"
    assert [info.uri for info in transport.list(base)] == [uri]
    transport.delete(uri)
    assert list(transport.list(base)) == []
