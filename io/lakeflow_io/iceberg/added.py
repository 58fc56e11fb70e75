"""The data files that a snapshot added, whole, as they are committed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["added_files"]


def added_files(table: Table, snapshot: Snapshot) -> list[DataFile]:
    """In the order of its manifests."""
    from pyiceberg.manifest import ManifestContent, ManifestEntryStatus

    return [
        entry.data_file
        for manifest in snapshot.manifests(table.io)
        if manifest.content == ManifestContent.DATA and manifest.added_snapshot_id in (None, snapshot.snapshot_id)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        # A manifest that was merged holds files of earlier snapshots, too.
        if entry.status == ManifestEntryStatus.ADDED and entry.snapshot_id == snapshot.snapshot_id
    ]
