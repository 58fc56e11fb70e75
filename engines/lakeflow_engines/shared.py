"""Read-only tables for all tasks: written once, memory-mapped by each process, never pickled.

The driver puts each table as an uncompressed Arrow IPC file beside the run's state. A process
opens it at its first task: in place where it is a local file, else from one copy a host in the
temporary folder, named by its digest. Pages are shared by every process that maps it. The copy is
deleted when nobody maps it any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.errors import AccessDeniedError, ObjectNotFoundError, StoreError, UnsupportedError
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import Location, join

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["SharedTable", "delete_shared", "encode_shared", "load_shared", "put_shared", "sweep_copies"]


@dataclass(frozen=True, slots=True)
class SharedTable:
    """Where a shared table lies; what a task carries instead of it."""

    name: str
    uri: str
    digest: str
    """BLAKE2b of the file's bytes, 128 bits, in hex."""
    rows: int
    bytes: int
    store: dict[str, str] = field(repr=False)


def encode_shared(name: str, data: pa.Table, folder: str, store: Mapping[str, str]) -> tuple[SharedTable, memoryview]:
    """What tasks will carry for `data`, and the bytes to put where it says.

    Args:
        name: The function's parameter.
        data: Copied into one chunk a column, so that a take by index is one step.
        folder: URI of the run's folder for shared tables.
        store: Storage properties of `folder`.
    """
    sink = pa.BufferOutputStream()
    whole = data.combine_chunks()
    with pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole)
    payload = memoryview(sink.getvalue())
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest()
    uri = join(folder, f"{name}-{digest}.arrow")
    return SharedTable(name, uri, digest, data.num_rows, len(payload), dict(store)), payload


def put_shared(table: SharedTable, payload: memoryview) -> None:
    """Put a table's bytes, unless an earlier attempt at this run did: equal names have equal bytes."""
    transport = open_transport(table.store)
    try:
        transport.put_if_absent(table.uri, payload)
    except UnsupportedError:  # a store without conditional writes
        transport.put(table.uri, payload)


def delete_shared(table: SharedTable) -> None:
    """Delete a table whose run is over."""
    open_transport(table.store).delete(table.uri)


def load_shared(table: SharedTable) -> pa.Table:
    """The table, mapped; the same object for every task of this process."""
    try:
        return _mapped(table.digest, table.uri, tuple(table.store.items())).table
    except FileNotFoundError as error:
        raise ObjectNotFoundError(
            f"Shared table {table.name!r} is gone from {table.uri}.", "its run is over, or its folder was cleaned."
        ) from error
    except OSError as error:
        raise StoreError(
            f"Shared table {table.name!r} can't be mapped: {error}.", "check the temporary folder and its space."
        ) from error


def sweep_copies() -> None:
    """Delete this host's copies that no process maps any more, also those of processes that were killed."""
    with _locked_copies() as folder:
        for partial in folder.glob("*.partial"):  # whoever wrote it is gone: writers hold the lock
            partial.unlink(missing_ok=True)
        for path in folder.glob("*.arrow"):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while any process holds its share
                path.unlink()


@dataclass(frozen=True, slots=True)
class _Mapping:
    """A mapped table, and what keeps its file from being swept."""

    table: pa.Table
    held: IO[bytes] | None


# A worker of a long-lived cluster sees many runs: the oldest tables are let go.
@lru_cache(maxsize=32)
def _mapped(digest: str, uri: str, store: tuple[tuple[str, str], ...]) -> _Mapping:
    location = Location.parse(uri)
    if location.scheme == "file":
        return _Mapping(_open(Path("/" + location.key)), None)
    with _locked_copies() as folder:  # the first process of a host fetches, the others wait for it
        path = folder / f"{digest}.arrow"
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.write_bytes(open_transport(dict(store)).get(uri))
            partial.rename(path)
        held = path.open("rb")
        fcntl.flock(held, fcntl.LOCK_SH)
        return _Mapping(_open(path), held)


def _open(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


@contextmanager
def _locked_copies() -> Generator[Path]:
    """The folder of this host's copies, while no other process changes what is in it."""
    # One user's copies can't be read or planted by another: the folder is the user's own.
    folder = Path(tempfile.gettempdir()) / f"lakeflow-shared-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise AccessDeniedError(f"{folder} belongs to another user.", "set TMPDIR to a folder of your own.")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
