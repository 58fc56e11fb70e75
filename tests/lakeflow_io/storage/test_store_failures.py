"""What a store refuses comes as one of our errors, in bounded time, with what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from loopback import free_port
from obstore.exceptions import GenericError

from lakeflow_io.errors import AccessDeniedError, ObjectNotFoundError, StoreError, StoreFullError, UnsupportedError
from lakeflow_io.storage import ObjectStoreTransport
from lakeflow_io.storage.failures import translate

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.demo.seaweed import Seaweed


@pytest.mark.parametrize("wrong", [{"s3.secret-access-key": "wrong"}, {"s3.access-key-id": "nobody"}])
@pytest.mark.parametrize("verb", ["get", "put", "put_if_absent", "list", "delete"])
def test_wrong_credentials_are_denied(seaweed: Seaweed, wrong: dict[str, str], verb: str) -> None:
    """Each verb says that access was refused, and names the properties to check."""
    transport = ObjectStoreTransport({**seaweed.store_properties, **wrong})
    data = [b"x"] if verb.startswith("put") else []

    with pytest.raises(AccessDeniedError) as caught:
        list(getattr(transport, verb)("s3://plain/key", *data) or ())

    assert "s3://plain/key" in caught.value.message
    assert "s3.access-key-id" in str(caught.value.hint)


def test_a_bucket_that_is_not_there_is_a_store_error(seaweed: Seaweed) -> None:
    """A missing bucket is named by its URI."""
    transport = ObjectStoreTransport(seaweed.store_properties)

    with pytest.raises(StoreError, match="s3://no-such-bucket/key"):
        transport.get("s3://no-such-bucket/key")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("verb", ["get", "put"])
def test_an_unreachable_endpoint_fails_in_bounded_time(verb: str) -> None:
    """Where nobody listens, retries end, and the endpoint's key is named."""
    transport = ObjectStoreTransport(
        {"s3.endpoint": f"http://127.0.0.1:{free_port()}", "s3.access-key-id": "a", "s3.secret-access-key": "b"}
    )

    with pytest.raises(StoreError, match="s3://bucket/key"):
        getattr(transport, verb)("s3://bucket/key", *([b"x"] if verb == "put" else []))


FILL = """
import os, sys
from lakeflow_io.errors import StoreError
from lakeflow_io.storage import ObjectStoreTransport
try:
    ObjectStoreTransport({}).put(f"file://{sys.argv[1]}/object", b"x" * 1_000_000)
except StoreError as error:
    print(type(error).__name__, os.listdir(sys.argv[1]))
"""


def test_a_full_disk_is_its_own_error(tmp_path: Path) -> None:
    """A write to a file system of 64 KiB ends as StoreFullError and leaves nothing there."""
    mount = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}"
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "sh", "-c", mount], check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of their own")

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", FILL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    assert done.stdout == "StoreFullError []\n"


@pytest.mark.parametrize("code", [28, 122])
def test_no_space_and_no_quota_are_store_full(code: int) -> None:
    """ENOSPC and EDQUOT, as obstore spells them, say that space is what is missing."""
    raised = GenericError(
        f"Generic LocalFileSystem error: Unable to copy data to file: (os error {code})\n\nDebug source:"
    )

    found = translate(raised, "file:///full/object")

    assert isinstance(found, StoreFullError)
    assert "file:///full/object" in found.message


@pytest.mark.parametrize("code", [13, 30])
def test_a_folder_without_rights_is_denied(code: int) -> None:
    """EACCES and EROFS say that rights are what is missing."""
    found = translate(GenericError(f"Generic LocalFileSystem error: (os error {code})"), "file:///root/object")

    assert isinstance(found, AccessDeniedError)


def test_a_message_is_one_line_without_rusts_debug_print() -> None:
    """What obstore prints for its own developers stays in the cause."""
    raised = GenericError("Generic S3 error: it broke\nmore\n\nDebug source:\nGeneric { store: .. }")

    found = translate(raised, "s3://b/k")

    assert found.message == "The store failed on s3://b/k: Generic S3 error: it broke"


def test_a_folder_is_no_object(tmp_path: Path) -> None:
    """Reading a folder's name fails within the tree."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreError):
        ObjectStoreTransport({}).get(f"file://{tmp_path}/folder")


@pytest.mark.parametrize("uri", ["oss://b/k", "hdfs://n/k", "ftp://h/k"])
def test_a_store_nobody_reaches_is_unsupported(uri: str) -> None:
    """A scheme that isn't spoken is refused by name, with those that are."""
    with pytest.raises(UnsupportedError, match="not supported") as caught:
        ObjectStoreTransport({}).get(uri)

    assert "s3://" in str(caught.value.hint)


def test_the_cause_is_kept() -> None:
    """The library's own exception is the cause of ours, for who debugs."""
    with pytest.raises(ObjectNotFoundError) as caught:
        ObjectStoreTransport({}).get("file:///nowhere/at/all")

    assert isinstance(caught.value.__cause__, FileNotFoundError)
