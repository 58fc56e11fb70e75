"""Sends a file of a version, or of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.cache.files.failures import reading

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow_io.storage.transport import Transport

__all__ = ["send"]

_CHUNK_BYTES = 8 << 20


def send(transport: Transport, path: Path, uri: str) -> None:
    """Put a local file at `uri`, a part at a time.

    Raises:
        ObjectNotFoundError: there is no such file.
        StoreError: the store refused, or the file can't be read.
    """
    with reading(path), path.open("rb", buffering=0) as file, transport.open_output(uri) as target:
        while chunk := file.read(_CHUNK_BYTES):
            target.write(chunk)
