"""The entries of a snapshot's manifests: every data and delete file that it is made of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["CONTENT", "live_entries", "partition_text"]

CONTENT = ("data", "position deletes", "equality deletes")
"""What a file holds, by the number that manifests have for it."""
_THREADS = 16  # each waits for one request


def live_entries(table: Table, snapshot: Snapshot | None) -> list[ManifestEntry]:
    """All entries that aren't deleted, in the order of the manifests."""
    if snapshot is None:
        return []
    manifests = snapshot.manifests(table.io)
    with ThreadPoolExecutor(_THREADS, "lakeflow-manifests") as threads:
        read = threads.map(lambda each: each.fetch_manifest_entry(table.io, discard_deleted=True), manifests)
        return [entry for entries in read for entry in entries]


def partition_text(table: Table, file: DataFile) -> str:
    """`name=value/...`, as `Shard.partition` has it; empty where the file's spec has no fields."""
    spec = table.metadata.specs()[file.spec_id]
    return spec.partition_to_path(file.partition, table.metadata.schema())
