"""One contract, four ways: local files, a real S3 server over obstore and over boto3, memory."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError, UnsupportedError
from lakeflow_io.storage import MemoryTransport, ObjectInfo, ObjectStoreTransport
from lakeflow_io.storage.boto3_transport import Boto3Transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow_io.storage import Transport

WEIRD = ["a b", "100%", "k=v", "ü", "a#b", "a?b", "a+b", "a&b", "a%20b", "a'b", "日本", "x" * 200]


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


def _result(value: Any) -> Any:
    async def wait() -> Any:
        return await value

    return asyncio.run(wait()) if inspect.isawaitable(value) else value


def test_what_was_put_is_got(store: tuple[Transport, str]) -> None:
    """A put object is read back byte for byte, and a second put replaces all of it."""
    transport, base = store
    uri = join(base, "object")

    transport.put(uri, b"first and longer")
    transport.put(uri, b"second")

    assert bytes(transport.get(uri)) == b"second"


@pytest.mark.parametrize("kind", [bytes, memoryview, pa.py_buffer], ids=["bytes", "memoryview", "arrow"])
def test_any_buffer_is_put(store: tuple[Transport, str], kind: Any) -> None:
    """Bytes, views and Arrow buffers, whose views have signed items, are all taken; so is an empty one."""
    transport, base = store
    values = {"full": b"some bytes", "empty": b""}

    for name, value in values.items():
        transport.put(join(base, name), memoryview(kind(value)))
        transport.put_if_absent(join(base, f"{name} once"), memoryview(kind(value)))

    for name, value in values.items():
        assert [bytes(transport.get(join(base, each))) for each in (name, f"{name} once")] == [value, value]


def test_a_large_object_is_put_in_parts(store: tuple[Transport, str]) -> None:
    """Beyond 16 MiB an upload is cut into parts; what arrives is whole."""
    transport, base = store
    data = bytes(range(256)) * (17 * 4096)
    uri = join(base, "large")

    transport.put(uri, data)

    assert data == bytes(transport.get(uri))


def test_one_of_many_writers_wins(store: tuple[Transport, str]) -> None:
    """Of eight threads that put the same name at once, exactly one is told it won, and its bytes are there."""
    transport, base = store
    barrier = Barrier(8)

    def write(uri: str, number: int) -> bool:
        barrier.wait()
        return transport.put_if_absent(uri, f"writer {number}".encode())

    for attempt in range(3):
        uri = join(base, f"contested-{attempt}")
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda number, uri=uri: write(uri, number), range(8)))

        assert [won.index(True)] == [number for number, each in enumerate(won) if each]
        assert f"writer {won.index(True)}".encode() == bytes(transport.get(uri))


def test_put_if_absent_leaves_what_is_there(store: tuple[Transport, str]) -> None:
    """The loser changes nothing; after a delete the name is free again."""
    transport, base = store
    uri = join(base, "once")

    outcome = [transport.put_if_absent(uri, b"one"), transport.put_if_absent(uri, b"two")]
    kept = bytes(transport.get(uri))
    transport.delete(uri)
    again = transport.put_if_absent(uri, b"three")

    assert (outcome, kept, again) == ([True, False], b"one", True)


def test_an_object_is_replaced_by_who_knows_it(store: tuple[Transport, str]) -> None:
    """A put with the tag of what is there replaces it; one with an older tag, or of nothing, changes nothing.

    The file system has no such verb, and says so.
    """
    transport, base = store
    uri = join(base, "pointer")
    transport.put(uri, b"one")
    first = _tag(transport, uri)

    if base.startswith("file:"):
        with pytest.raises(UnsupportedError, match="no conditional writes"):
            transport.put_if_unchanged(uri, b"two", first)
        return
    outcome = [transport.put_if_unchanged(uri, text, first) for text in (b"two", b"three")]
    nowhere = transport.put_if_unchanged(join(base, "nowhere"), b"x", first)

    assert (outcome, nowhere, bytes(transport.get(uri))) == ([True, False], False, b"two")
    assert list(transport.list(base)) == [ObjectInfo(uri, 3)]


def test_what_is_known_is_not_sent_again(store: tuple[Transport, str]) -> None:
    """An object with the tag that is given is None; after a write it comes with another tag."""
    transport, base = store
    uri = join(base, "pointer")
    transport.put(uri, b"one")
    tag = _tag(transport, uri)

    unchanged = transport.get_if_changed(uri, tag)
    transport.put(uri, b"another")
    changed = transport.get_if_changed(uri, tag)

    assert unchanged is None
    assert changed is not None
    assert (bytes(changed[0]), changed[1] == tag) == (b"another", False)
    with pytest.raises(ObjectNotFoundError):
        transport.get_if_changed(join(base, "nowhere"), tag)


def test_one_of_many_replacements_wins(store: tuple[Transport, str]) -> None:
    """Of eight threads that replace what they all have read, exactly one is told it did, and its bytes are there."""
    transport, base = store
    uri = join(base, "pointer")
    if base.startswith("file:"):
        return
    transport.put(uri, b"before")
    tag, barrier = _tag(transport, uri), Barrier(8)

    def write(number: int) -> bool:
        barrier.wait()
        return transport.put_if_unchanged(uri, f"writer {number}".encode(), tag)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))

    assert sum(won) == 1
    assert bytes(transport.get(uri)) == f"writer {won.index(True)}".encode()


def _tag(transport: Transport, uri: str) -> str:
    found = transport.get_if_changed(uri)
    assert found is not None
    return found[1]


@given(start=st.integers(0, 1000), length=st.integers(1, 1000))
def test_a_range_is_exact(store: tuple[Transport, str], start: int, length: int) -> None:
    """A range inside the object comes exactly; one that leaves it is an error, never shorter bytes."""
    transport, base = store
    data = bytes(number % 251 for number in range(1000))
    uri = join(base, "ranged")
    transport.put_if_absent(uri, data)

    if start + length <= len(data):
        assert data[start : start + length] == bytes(transport.get_range(uri, start, length))
    else:
        with pytest.raises(CorruptFileError, match="ends too early"):
            transport.get_range(uri, start, length)


@given(start=st.integers(0, 1000), length=st.integers(1, 1000))
def test_a_range_for_a_task_is_exact(store: tuple[Transport, str], start: int, length: int) -> None:
    """The async verb gives what the other gives, and fails where it fails."""
    transport, base = store
    data = bytes(number % 251 for number in range(1000))
    uri = join(base, "ranged")
    transport.put_if_absent(uri, data)

    if start + length <= len(data):
        assert data[start : start + length] == bytes(asyncio.run(transport.get_range_async(uri, start, length)))
    else:
        with pytest.raises(CorruptFileError, match="ends too early"):
            asyncio.run(transport.get_range_async(uri, start, length))


@given(size=st.sampled_from([0, 1, 7, 1000]), length=st.integers(1, 1100))
def test_a_suffix_comes_with_the_size(store: tuple[Transport, str], size: int, length: int) -> None:
    """The last bytes, all of them where there are fewer, and how many the object has."""
    transport, base = store
    data = bytes(number % 251 for number in range(size))
    uri = join(base, f"suffix-{size}")
    transport.put_if_absent(uri, data)

    tail, whole = asyncio.run(transport.get_suffix_async(uri, length))

    assert (data[-length:], size) == (bytes(tail), whole)


def test_many_ranges_share_a_loop(store: tuple[Transport, str]) -> None:
    """A hundred ranges at once on one loop come each as asked."""
    transport, base = store
    data = bytes(number % 251 for number in range(10_000))
    uri = join(base, "ranged")
    transport.put(uri, data)

    async def read() -> list[memoryview]:
        return await asyncio.gather(*(transport.get_range_async(uri, 100 * each, 100) for each in range(100)))

    assert data == b"".join(asyncio.run(read()))


def test_a_listing_has_names_and_sizes_below_the_folder(store: tuple[Transport, str]) -> None:
    """All objects beneath a folder at any depth, none of a folder that begins with the same letters."""
    transport, base = store
    for name, size in {"a/1": 1, "a/b/2": 2, "ab/3": 3, "a.4": 4}.items():
        transport.put(join(base, name), b"x" * size)

    found = sorted(transport.list(join(base, "a")), key=lambda info: info.uri)

    assert [ObjectInfo(join(base, "a/1"), 1), ObjectInfo(join(base, "a/b/2"), 2)] == found
    assert found == sorted(transport.list(join(base, "a") + "/"), key=lambda info: info.uri)


def test_an_absent_folder_lists_nothing(store: tuple[Transport, str]) -> None:
    """A folder that nothing was put into is empty, not an error."""
    transport, base = store

    assert list(transport.list(join(base, "nothing/here"))) == []


def test_a_long_listing_is_complete(store: tuple[Transport, str]) -> None:
    """More objects than a page of S3 holds come all, once."""
    transport, base = store
    names = {join(base, f"many/{number:04d}") for number in range(1100)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda uri: transport.put(uri, b""), names))

    found = [info.uri for info in transport.list(join(base, "many"))]

    assert len(found) == 1100
    assert names == set(found)


def test_deleting_twice_is_no_error(store: tuple[Transport, str]) -> None:
    """A delete whose answer was lost can be sent again."""
    transport, base = store
    uri = join(base, "gone")
    transport.put(uri, b"x")

    transport.delete(uri)
    transport.delete(uri)

    with pytest.raises(ObjectNotFoundError, match="gone"):
        transport.get(uri)


@pytest.mark.parametrize(
    "arguments", [["get"], ["get_range", 0, 5], ["get_range_async", 0, 5], ["get_suffix_async", 5]]
)
def test_an_absent_object_is_not_found(store: tuple[Transport, str], arguments: list[Any]) -> None:
    """Reading what isn't there names the whole URI."""
    transport, base = store
    uri = join(base, "absent")
    verb, *rest = arguments

    with pytest.raises(ObjectNotFoundError) as caught:
        _result(getattr(transport, verb)(uri, *rest))

    assert uri in caught.value.message


@pytest.mark.parametrize("name", WEIRD)
def test_a_name_may_hold_any_character(store: tuple[Transport, str], name: str) -> None:
    """Spaces, percent signs, equals signs, umlauts: a name is put, got, listed and deleted as it is."""
    transport, base = store
    uri = join(base, "names", name, "object " + name)

    transport.put(uri, b"x")
    got = bytes(transport.get(uri))
    listed = [info.uri for info in transport.list(join(base, "names"))]
    below = [info.uri for info in transport.list(join(base, "names", name))]
    transport.delete(uri)

    assert (b"x", [uri], [uri]) == (got, listed, below)
    assert list(transport.list(join(base, "names"))) == []


@pytest.mark.parametrize("name", WEIRD)
def test_a_local_name_is_the_name_on_disk(tmp_path: Path, name: str) -> None:
    """Iceberg's locations are not percent-encoded: `%20` in a URI is three characters of the file's name."""
    ObjectStoreTransport({}).put(f"file://{tmp_path}/{name}", b"x")

    assert [name] == [each.name for each in tmp_path.iterdir()]


def test_folders_are_told_without_what_is_in_them(store: tuple[Transport, str]) -> None:
    """The names directly in a folder that have something in them, whatever they are like; objects are none."""
    transport, base = store
    for name in WEIRD:
        transport.put(join(base, "runs", name, "deep/object"), b"x")
    transport.put(join(base, "runs/object"), b"x")
    transport.put(join(base, "runs-else/other/object"), b"x")

    assert sorted(transport.folders(join(base, "runs"))) == sorted(WEIRD)
    assert list(transport.folders(join(base, "nothing"))) == []
