"""The files of a snapshot, whole, as their manifests have them.

What is written into manifests again has to be exact. Plans of scans, which need a few columns of many
files, are made by `manifests/`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from pyiceberg.manifest import DataFile, ManifestEntry, ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = [
    "LiveFile",
    "MissingFilesError",
    "added_entries",
    "live_entries",
    "live_files",
    "rewritten_manifests",
]

_THREADS = 8


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A data file of a snapshot."""

    file: DataFile
    manifest: str
    """URI of the manifest that names it: it may be in another one by the time it is removed."""


class MissingFilesError(Exception):
    """Files that were to be removed aren't in the table any more; for `commit`, which makes a conflict of it."""


def live_files(table: Table, snapshot_id: int | None, paths: Container[str] | None = None) -> dict[str, LiveFile]:
    """The data files of a snapshot by path.

    Args:
        table: The table.
        snapshot_id: One of its snapshots; None for no snapshot, which has no files.
        paths: Which; default all.

    Raises:
        DataError: a manifest doesn't decode.
        StoreError: the store failed.
    """
    if snapshot_id is None:
        return {}
    with translated(f"read the manifests of snapshot {snapshot_id}"):
        snapshot = table.metadata.snapshot_by_id(snapshot_id)
        manifests = snapshot.manifests(table.io) if snapshot is not None else []
        return {
            entry.data_file.file_path: LiveFile(entry.data_file, manifest.manifest_path)
            for manifest, entries in _read(table, [each for each in manifests if not _has_deletes(each)])
            for entry in entries
            if _is_live(entry) and (paths is None or entry.data_file.file_path in paths)
        }


def rewritten_manifests(
    table: Table, removed: Mapping[str, LiveFile]
) -> dict[ManifestFile, list[tuple[ManifestEntry, bool]]]:
    """The current snapshot's manifests that name files of `removed`: their live entries, and whether each goes.

    Raises:
        MissingFilesError: a file isn't live any more.
    """
    snapshot = table.current_snapshot()
    manifests = [each for each in snapshot.manifests(table.io) if not _has_deletes(each)] if snapshot else []
    hinted = {each.manifest for each in removed.values()}
    # Manifests are immutable, so a file is most likely still where it was seen.
    first = [each for each in manifests if each.manifest_path in hinted]
    others = [each for each in manifests if each.manifest_path not in hinted]
    missing, found = set(removed), {}
    for candidates in (first, others):
        if not missing:
            break
        for manifest, entries in _read(table, candidates):
            live = [(entry, entry.data_file.file_path in removed) for entry in entries if _is_live(entry)]
            gone = {entry.data_file.file_path for entry, goes in live if goes}
            if gone:
                found[manifest] = live
                missing -= gone
    if missing:
        raise MissingFilesError(min(missing))
    return found


def live_entries(table: Table, snapshot: Snapshot | None) -> list[ManifestEntry]:
    """The entries of data and delete files that aren't removed, in the order of the manifests."""
    manifests = snapshot.manifests(table.io) if snapshot is not None else []
    return [entry for _, entries in _read(table, manifests) for entry in entries if _is_live(entry)]


def added_entries(table: Table, snapshot: Snapshot, *, deletes: bool = False) -> Iterator[ManifestEntry]:
    """The entries of data files, or of delete files, that a snapshot itself added, in the order of its manifests."""
    from pyiceberg.manifest import ManifestEntryStatus

    manifests = [
        each
        for each in snapshot.manifests(table.io)
        if _has_deletes(each) is deletes and each.added_snapshot_id in (None, snapshot.snapshot_id)
    ]
    for _, entries in _read(table, manifests):
        for entry in entries:
            # A manifest that was merged holds files of earlier snapshots, too.
            if entry.status == ManifestEntryStatus.ADDED and entry.snapshot_id == snapshot.snapshot_id:
                yield entry


def _read(table: Table, manifests: list[ManifestFile]) -> Iterator[tuple[ManifestFile, list[ManifestEntry]]]:
    from lakeflow_io.iceberg.snapshot_internals import manifest_entries, spec_schema

    specs = table.metadata.specs()

    def read(manifest: ManifestFile) -> tuple[ManifestFile, list[ManifestEntry]]:
        spec = specs[manifest.partition_spec_id]
        return manifest, manifest_entries(manifest, table.io, spec, spec_schema(table.metadata, spec))

    if len(manifests) < 2:  # noqa: PLR2004  (no thread is needed)
        yield from map(read, manifests)
        return
    with ThreadPoolExecutor(_THREADS, "lakeflow-manifests") as pool:
        yield from pool.map(read, manifests)


def _is_live(entry: Any) -> bool:
    from pyiceberg.manifest import ManifestEntryStatus

    return bool(entry.status != ManifestEntryStatus.DELETED)


def _has_deletes(manifest: ManifestFile) -> bool:
    from pyiceberg.manifest import ManifestContent

    return manifest.content == ManifestContent.DELETES
