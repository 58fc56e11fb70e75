"""Compares a version's files with the checksums in its manifest, and computes damaged indexes again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.cache.durable import checksum
from lakeflow.cache.keys import key_of
from lakeflow.cache.shard import rebuild_index
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.cache.manifest import FileFacts, Manifest

__all__ = ["repair", "verify", "verify_file"]


def verify(folder: Path, manifest: Manifest) -> None:
    """Read every file.

    Raises:
        CorruptFileError: a file differs from the manifest.
        ObjectNotFoundError: a file is gone.
    """
    for facts in manifest.files:
        verify_file(folder, facts)


def repair(folder: Path, manifest: Manifest) -> list[str]:
    """Compute damaged indexes again; return their names.

    Raises:
        CorruptFileError, ObjectNotFoundError: a payload is damaged.
    """
    repaired = []
    for shard in manifest.shards:
        verify_file(folder, shard.payload)
        try:
            verify_file(folder, shard.index)
        except (CorruptFileError, ObjectNotFoundError):
            rebuild_index(folder, shard, key_of(manifest.schema, manifest.key))
            verify_file(folder, shard.index)
            repaired.append(shard.index.name)
    return repaired


def verify_file(folder: Path, facts: FileFacts) -> None:
    """Read one file.

    Raises:
        CorruptFileError: it differs from the manifest.
        ObjectNotFoundError: it is gone.
    """
    path = folder / facts.name
    seen = checksum(path)
    if seen != facts.crc32:
        message = f"{path} has CRC-32 {seen:08x}; the manifest says {facts.crc32:08x}."
        raise CorruptFileError(message, "roll back to another version; for an .idx file call repair().")
