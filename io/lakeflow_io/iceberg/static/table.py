"""A table opened from its metadata file alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.table import Table

from lakeflow_io.errors import NotFoundError, ObjectNotFoundError
from lakeflow_io.iceberg.file_io import TransportFileIO
from lakeflow_io.iceberg.static.find import find_metadata, table_folder
from lakeflow_io.iceberg.static.parse import parse_metadata
from lakeflow_io.iceberg.static.read_only import ReadOnlyCatalog
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.relocated import Relocation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.table.metadata import TableMetadata

__all__ = ["open_static"]


class _StaticTable(Table):
    """pyiceberg's table, with a folder or a file in place of a catalog."""

    opened: tuple[str, dict[str, str], Mapping[str, str] | None]

    def refresh(self) -> Table:
        """Look for a newer metadata file, where a folder was opened."""
        fresh = open_static(*self.opened)
        self.metadata, self.metadata_location, self.io = fresh.metadata, fresh.metadata_location, fresh.io
        return self


def open_static(path: str, store: dict[str, str], relocate: Mapping[str, str] | None) -> Table:
    """Open a table.

    Args:
        path: The URI of a metadata file, or of the table's folder.
        store: Storage properties.
        relocate: Old and new prefixes of paths in metadata; None for a table that was moved as a whole.

    Raises:
        NotFoundError: there is no metadata file.
        CorruptFileError, UnsupportedError: from `parse_metadata`.
    """
    transport = open_transport(store)
    uri, metadata = _newest(transport, path)
    folder = table_folder(uri)
    prefixes = {metadata.location: folder} if relocate is None else dict(relocate)
    # Relative paths may begin with the table's own location, if that is relative, too.
    if "://" not in metadata.location and not metadata.location.startswith("/") and metadata.location.strip("./"):
        prefixes.setdefault(metadata.location, folder)
    where = Relocation(tuple(prefixes.items()), folder)
    table = _StaticTable(
        identifier=("static", path),
        metadata=metadata.model_copy(update={"location": where(metadata.location)}),
        metadata_location=uri,
        io=TransportFileIO({**store, **where.property}),
        catalog=ReadOnlyCatalog("static"),
    )
    table.opened = path, store, relocate
    return table


def _newest(transport: Any, path: str) -> tuple[str, TableMetadata]:
    """The metadata that was written last; two files of one version are two tries, of which one failed."""
    found = []
    for uri in find_metadata(transport, path):
        try:
            found.append((uri, parse_metadata(uri, transport.get(uri))))
        except ObjectNotFoundError as error:
            raise NotFoundError(
                f"There is no metadata file {uri}.", "check the path and the storage properties."
            ) from error
    return max(found, key=lambda each: each[1].last_updated_ms)
