"""What a snapshot added: the data files that are new in it, and the delete files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["added_deletes", "added_files"]


def added_files(table: Table, snapshot: Snapshot) -> list[DataFile]:
    """The data files that a snapshot added, in the order of its manifests."""
    return _added(table, snapshot, deletes=False)


def added_deletes(table: Table, snapshot: Snapshot) -> list[DataFile]:
    """The delete files that a snapshot added."""
    return _added(table, snapshot, deletes=True)


def _added(table: Table, snapshot: Snapshot, *, deletes: bool) -> list[DataFile]:
    from pyiceberg.manifest import ManifestContent, ManifestEntryStatus

    wanted = ManifestContent.DELETES if deletes else ManifestContent.DATA
    return [
        entry.data_file
        for manifest in snapshot.manifests(table.io)
        if manifest.content == wanted and manifest.added_snapshot_id in (None, snapshot.snapshot_id)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        # A manifest that was merged holds files of earlier snapshots, too.
        if entry.status == ManifestEntryStatus.ADDED and entry.snapshot_id == snapshot.snapshot_id
    ]
