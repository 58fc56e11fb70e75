"""Every file that a snapshot of a table names: what must not be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_io.iceberg.manifests.entries import Extras
from lakeflow_io.iceberg.manifests.fetch import MetadataFiles
from lakeflow_io.iceberg.manifests.listing import read_manifest_list
from lakeflow_io.iceberg.vended import table_store

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from lakeflow_io.iceberg.manifests.entries import Entries
    from lakeflow_io.iceberg.manifests.listing import ManifestFile

__all__ = ["referenced_files"]


def referenced_files(table: Table) -> set[str]:
    """URIs of all manifests, data files and delete files of all snapshots that haven't expired.

    Args:
        table: As it was last seen.

    Raises:
        CorruptFileError: a manifest is damaged; names it.
        StoreError: one isn't there, or the store can't be reached.
    """
    files = MetadataFiles(table_store(table))
    most = max((len(spec.fields) for spec in table.metadata.specs().values()), default=0)
    manifests: dict[str, ManifestFile] = {}
    for snapshot in table.metadata.snapshots:
        uri = snapshot.manifest_list
        listed = files.decoded(uri, 0, lambda data, uri=uri: read_manifest_list(uri, data, most))  # type: ignore[misc]
        manifests.update({each.path: each for each in listed.manifests})

    def paths(entries: Entries) -> list[str]:
        found = entries.arrays.get("path")
        return [] if found is None else [str(path) for path in found.to_pylist()]

    found = set(manifests)
    for each in files.entries(list(manifests.values()), Extras(), paths):
        found.update(each)
    return found
