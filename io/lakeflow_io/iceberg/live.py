"""Entries of manifests, whole, for what is written into manifests again and for what they tell of snapshots.

Plans, which need a few columns of many files, are made by `manifests/`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyiceberg.manifest import ManifestEntry, ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lakeflow_io.iceberg.manifests.planned import LiveFile

__all__ = ["MissingFilesError", "Rewritten", "added_entries", "live_entries", "outdated_deletes", "rewritten_manifests"]

_THREADS = 8


class MissingFilesError(Exception):
    """Files that were to be removed aren't in the table any more; for `change`, which makes a conflict of it."""


Rewritten = dict["ManifestFile", "list[tuple[ManifestEntry, bool]]"]
"""Manifests with files that go: their live entries, and whether each goes."""


def rewritten_manifests(table: Table, manifests: Sequence[ManifestFile], removed: Mapping[str, LiveFile]) -> Rewritten:
    """The manifests that name files of `removed`.

    Args:
        table: Theirs.
        manifests: All of a snapshot.
        removed: Data files by path.

    Raises:
        MissingFilesError: a file isn't live in them.
    """
    of_data = [each for each in manifests if not _has_deletes(each)]
    hinted = {each.manifest for each in removed.values()}
    # Manifests are immutable, so a file is most likely still where it was seen.
    first = [each for each in of_data if each.manifest_path in hinted]
    others = [each for each in of_data if each.manifest_path not in hinted]
    missing, found = set(removed), Rewritten()
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


def outdated_deletes(table: Table, manifests: Sequence[ManifestFile], rewritten: Rewritten) -> Rewritten:
    """The manifests that name delete files which no data file is old enough for, once those of `rewritten` have gone.

    A delete file applies to no data file with a higher sequence number. As in Iceberg's `MergingSnapshotProducer`,
    sequence numbers are compared over the whole table, as manifest lists have them.

    Args:
        table: Theirs.
        manifests: All of a snapshot.
        rewritten: Those with data files that go.
    """
    oldest = table.metadata.next_sequence_number()  # that of files which are being added
    for manifest in manifests:
        if not _has_deletes(manifest) and manifest not in rewritten and _has_files(manifest):
            oldest = min(oldest, manifest.min_sequence_number or 0)
    for known in rewritten.values():
        oldest = min([oldest, *(entry.sequence_number or 0 for entry, goes in known if not goes)])
    candidates = [
        each
        for each in manifests
        if _has_deletes(each) and _has_files(each) and (each.min_sequence_number or 0) < oldest
    ]
    found = Rewritten()
    for manifest, entries in _read(table, candidates):
        live = [(entry, 0 < (entry.sequence_number or 0) < oldest) for entry in entries if _is_live(entry)]
        if any(goes for _, goes in live):
            found[manifest] = live
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


def _has_files(manifest: ManifestFile) -> bool:
    return bool(manifest.has_added_files() or manifest.has_existing_files())


def _has_deletes(manifest: ManifestFile) -> bool:
    from pyiceberg.manifest import ManifestContent

    return manifest.content == ManifestContent.DELETES
