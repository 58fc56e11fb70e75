"""A file is uploaded in parts: whole when closed, gone when aborted, in bounded memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow_io.errors import InputError, ObjectNotFoundError, StoreError
from lakeflow_io.storage import MemoryTransport, ObjectStoreTransport
from lakeflow_io.storage.boto3_transport import Boto3Transport
from lakeflow_io.storage.location import join
from lakeflow_io.storage.upload import PART_BYTES, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lakeflow_io.storage import Transport

MIB = 1024 * 1024


@pytest.fixture(params=["memory", "local", "s3", "boto3"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, namespace: str
) -> tuple[Transport, str, Callable[[], list[str]]]:
    """A transport, the URI of an empty folder in it, and what lies there half done."""
    if request.param == "memory":
        return MemoryTransport(), "memory://tests/folder", list
    if request.param == "local":
        folder = tmp_path / "folder"
        return ObjectStoreTransport({}), f"file://{folder}", lambda: [path.name for path in folder.rglob("*")]
    server = request.getfixturevalue("seaweed")
    client = boto3.client(
        "s3", endpoint_url=server.s3_endpoint, region_name="us-east-1",
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
    )  # fmt: skip

    def half_done() -> list[str]:
        found = client.list_multipart_uploads(Bucket="plain").get("Uploads", [])
        return [each["Key"] for each in found if each["Key"].startswith(namespace)]

    kind = Boto3Transport if request.param == "boto3" else ObjectStoreTransport
    return kind(server.store_properties), f"s3://plain/{namespace}", half_done


def _bytes(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 17])
def test_what_was_written_is_there_when_closed(store: Any, size: int) -> None:
    """Around the edges of parts nothing is lost; before the end nothing is visible."""
    transport, base, half_done = store
    uri, data = join(base, "object"), _bytes(size)
    file = transport.open_output(uri)

    for start in range(0, size, 3 * MIB + 1):
        file.write(data[start : start + 3 * MIB + 1])
    with pytest.raises(ObjectNotFoundError):
        transport.get(uri)
    file.close()
    file.close()

    assert data == bytes(transport.get(uri))
    assert size == file.tell()
    assert [each for each in half_done() if each != "object"] == []


@pytest.mark.parametrize("size", [5, 4 * PART_BYTES + 5])
def test_what_was_aborted_leaves_nothing(store: Any, size: int) -> None:
    """By hand, by an exception in a block, and by being forgotten: no object, no part, no thread."""
    transport, base, half_done = store
    data = _bytes(size)

    def write_and_fail() -> None:
        with transport.open_output(join(base, "raised")) as file:
            file.write(data)
            raise KeyError("the caller's")

    by_hand = transport.open_output(join(base, "by hand"))
    by_hand.write(data)
    by_hand.abort()
    by_hand.close()
    with pytest.raises(KeyError):
        write_and_fail()
    forgotten = transport.open_output(join(base, "forgotten"))
    forgotten.write(data)
    del forgotten
    gc.collect()

    assert list(transport.list(base)) == []
    assert half_done() == []
    assert [each.name for each in threading.enumerate() if each.name == "lakeflow-upload"] == []


def test_parquet_is_written_into_it(store: Any) -> None:
    """A Parquet writer of pyarrow's takes it for a file."""
    transport, base, _ = store
    table = pa.table({"x": pa.array(np.random.default_rng(1).random(2_000_000))})
    uri = join(base, "file.parquet")

    with transport.open_output(uri) as file, pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table, row_group_size=500_000)

    assert pq.read_table(pa.BufferReader(transport.get(uri))).equals(table)


def test_a_closed_file_takes_nothing(store: Any) -> None:
    """Writing after the end is the caller's mistake."""
    transport, base, _ = store
    file = transport.open_output(join(base, "object"))
    file.close()

    with pytest.raises(InputError, match="closed"):
        file.write(b"x")


class _Slow:
    """A store that takes parts only when it is let, and counts those that exist at once."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.taken: list[int] = []
        self.go = threading.Semaphore(0)
        self.took = threading.Semaphore(0)
        self.fails_at = fails_at
        self.undone = False

    def whole(self, data: bytearray) -> None:
        self.taken.append(len(data))

    def parts(self, parts: Iterator[bytearray]) -> None:
        try:
            for number, part in enumerate(parts):
                self.go.acquire()
                self._take(number, part)
        except BaseException:
            self.undone = True
            raise

    def _take(self, number: int, part: bytearray) -> None:
        if number == self.fails_at:
            raise StoreError("it broke.")
        self.taken.append(len(part))
        self.took.release()


def test_a_writer_waits_for_the_store() -> None:
    """At most three parts exist outside the store: one taken, one waiting, one being filled."""
    store = _Slow()
    file = Upload("s3://b/k", store, 10)
    written: list[int] = []

    def write() -> None:
        for _ in range(10):
            file.write(b"0123456789")
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    for taken in range(9):
        store.go.release()
        store.took.acquire()
        assert len(written) <= taken + 1 + 3
    store.go.release()
    writer.join()
    file.close()

    assert store.taken == [10] * 10


@pytest.mark.parametrize("fails_at", [0, 2, 4])
def test_a_part_that_fails_is_told(fails_at: int) -> None:
    """Write or close raises what the store said, the upload is undone, and the file is closed."""
    store = _Slow(fails_at=fails_at)
    store.go.release(100)
    file = Upload("s3://b/k", store, 10)

    def write() -> None:
        for _ in range(5):
            file.write(b"0123456789")
        file.close()

    with pytest.raises(StoreError, match="broke"):
        write()

    assert store.undone
    assert file.closed
    file.close()
    with pytest.raises(StoreError, match="broke"):
        file.write(b"more")


@settings(max_examples=30)
@given(chunks=st.lists(st.binary(max_size=40), max_size=30), size=st.integers(1, 25))
def test_any_cut_gives_the_same_bytes(chunks: list[bytes], size: int) -> None:
    """However it is written, the parts have their size and the bytes their order."""
    parts: list[bytes] = []

    class Keeping:
        def whole(self, data: bytearray) -> None:
            parts.append(bytes(data))

        def parts(self, given: Iterator[bytearray]) -> None:
            parts.extend(bytes(each) for each in given)

    with Upload("s3://b/k", Keeping(), size) as file:
        for chunk in chunks:
            file.write(chunk)

    assert b"".join(parts) == b"".join(chunks)
    assert [len(each) for each in parts[:-1]] == [size] * (len(parts) - 1)


UNFINISHED = """
import sys
from lakeflow_io.storage import ObjectStoreTransport
file = ObjectStoreTransport({}).open_output(f"file://{sys.argv[1]}/object")
file.write(bytes(30_000_000))
"""


def test_python_ends_with_a_file_unfinished(tmp_path: Path) -> None:
    """A process whose last act was a write ends at once, and nothing is visible."""
    subprocess.run([sys.executable, "-c", UNFINISHED, str(tmp_path)], timeout=240, check=True)

    assert list(ObjectStoreTransport({}).list(f"file://{tmp_path}")) == []


def test_too_many_parts_are_refused() -> None:
    """Beyond 10,000 parts a store would refuse the last one after hours."""
    store = _Slow()
    store.go.release(20_000)
    file = Upload("s3://b/k", store, 1)
    file.write(bytes(10_000))

    with pytest.raises(InputError, match="10000 parts"):
        file.write(b"x")

    assert store.undone
