"""Compares a version's files with the checksums in its manifest, and computes what follows from payloads again."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from lakeflow.cache.files.durable import checksum
from lakeflow.cache.files.index import rebuilt_index
from lakeflow.cache.keys.column import key_of
from lakeflow.cache.rows.file import rebuilt_rows
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.cache.files.manifest import FileFacts, Manifest
    from lakeflow.cache.shelf import Shelf

__all__ = ["check_sum", "repair", "verify", "verify_file"]

_HINT = "roll back to another version; for an .idx or .rows file call repair()."
_NEITHER = "roll back to another version, or build it again."


def verify(shelf: Shelf, manifest: Manifest) -> None:
    """Read every file.

    Raises:
        CorruptFileError: a file differs from the manifest.
        ObjectNotFoundError: a file is gone.
    """
    for shard in manifest.shards:
        for file in shard.files:
            shelf.verify_file(manifest.version, shard, file)


def repair(shelf: Shelf, manifest: Manifest) -> list[str]:
    """Compute damaged files but payloads again; return their names.

    Raises:
        CorruptFileError, ObjectNotFoundError: a payload is damaged, or what follows from it isn't what was written.
    """
    repaired = []
    for shard in manifest.shards:
        shelf.verify_file(manifest.version, shard, shard.payload)
        for file in shard.files[1:]:
            try:
                shelf.verify_file(manifest.version, shard, file)
            except (CorruptFileError, ObjectNotFoundError):
                payload = shelf.payload(manifest.version, shard)
                rebuilt = rebuilt_index if file is shard.index else rebuilt_rows
                content = rebuilt(payload, shard, key_of(manifest.schema, manifest.key))
                check_sum(f"What was computed in place of {file.name}", zlib.crc32(content), file, _NEITHER)
                shelf.replace_file(manifest.version, shard, file, content)
                shelf.verify_file(manifest.version, shard, file)
                repaired.append(file.name)
    return repaired


def verify_file(path: Path, facts: FileFacts) -> None:
    """Read one file.

    Raises:
        CorruptFileError: it differs from the manifest.
        ObjectNotFoundError: it is gone.
    """
    check_sum(path, checksum(path), facts)


def check_sum(path: Path | str, seen: int, facts: FileFacts, hint: str = _HINT) -> None:
    """Compare a CRC-32 with the manifest's.

    Raises:
        CorruptFileError: it is another one.
    """
    if seen != facts.crc32:
        message = f"{path} has CRC-32 {seen:08x}; the manifest says {facts.crc32:08x}."
        raise CorruptFileError(message, hint)
