"""Read-only tables for all tasks: written once, memory-mapped by each process, never pickled.

The driver puts each table as an uncompressed Arrow IPC file beside the run's state. A process
opens it at its first task: in place where it is a local file, else from one copy a host in the
temporary folder, named by its digest. Pages are shared by every process that maps it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import Location, join

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SharedTable", "load_shared", "share"]


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


def share(name: str, data: pa.Table, folder: str, store: Mapping[str, str]) -> SharedTable:
    """Put `data` into `folder` unless the same bytes are there already.

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
    payload = memoryview(sink.getvalue()).cast("B")
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest()
    uri = join(folder, f"{name}-{digest}.arrow")
    open_transport(store).put(uri, payload)
    return SharedTable(name, uri, digest, data.num_rows, len(payload), dict(store))


def load_shared(table: SharedTable) -> pa.Table:
    """The table, mapped; the same object for every task of this process."""
    return _mapped(table.digest, table.uri, tuple(table.store.items()))


@cache
def _mapped(digest: str, uri: str, store: tuple[tuple[str, str], ...]) -> pa.Table:
    location = Location.parse(uri)
    path = Path("/" + location.key) if location.scheme == "file" else _local_copy(digest, uri, dict(store))
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _local_copy(digest: str, uri: str, store: dict[str, str]) -> Path:
    # One user's copies can't be read or planted by another: the folder is the user's own.
    folder = Path(tempfile.gettempdir()) / f"lakeflow-shared-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{digest}.arrow"
    with (folder / f"{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first process of a host fetches, the others wait for it
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_bytes(open_transport(store).get(uri))
            partial.rename(path)
    return path
