"""Folders of Parquet files in Hive's layout: `key=value` folders are partitions, and nothing else is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from lakeflow.formats.seam import Counts
from lakeflow.parquet import scan_folder
from lakeflow_io.errors import InputError
from lakeflow_io.folder import files_table, partitions_table
from lakeflow_io.iceberg.internals import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression

    from lakeflow.scan import Scan
    from lakeflow_io.folder import Folder
    from lakeflow_io.iceberg.refs import SnapshotName

__all__ = ["HiveFormat"]


class HiveFormat:
    """The files that were there when it was opened or last refreshed.

    Args:
        location: URI of the folder.
        listed: Lists it.

    Raises:
        NotFoundError: there is no file.
        SchemaError: files, or values on paths, don't fit together.
        CorruptFileError: the first file is no Parquet file.
        StoreError: the store failed.
    """

    kind = "Parquet"
    has_snapshots = False
    sort_by: list[str] = []  # noqa: RUF012  (nobody says how they are sorted)
    properties: dict[str, str] = {}  # noqa: RUF012  (a folder has none)

    def __init__(self, location: str, listed: Callable[[], Folder]) -> None:
        self.location, self._listed = location, listed
        self._folder = listed()

    @property
    def name(self) -> str:
        """What the caller wrote."""
        return self._folder.name

    @property
    def schema(self) -> pa.Schema:
        """The files' columns and the partitions'."""
        return arrow_schema(self._folder.schema)

    @property
    def partition_by(self) -> list[str]:
        """The keys of paths."""
        return list(self._folder.partitions.column_names)

    def iceberg(self) -> NoReturn:
        """Refuse.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.name} is a folder of Parquet files, not an Iceberg table: "
            "it has no snapshots, branches and history, and is read-only.",
            f"make it a table, without copying a file: lake.adopt({self.name!r}, 'namespace.table').",
        )

    def refresh(self) -> None:
        """List it again."""
        self._folder = self._listed()

    def counts(self) -> Counts:
        """Files and bytes as listed; rows by the density of the files whose footers were read: `about`."""
        files, known = self._folder.files, self._folder.layouts
        told = all(file.uri in known for file in files)
        rows = sum(map(self._folder.rows, files))
        return Counts(rows, "exact" if told else "about", len(files), sum(file.size for file in files))

    def files(self, snapshot: SnapshotName) -> pa.Table:
        """The files, with as much as a listing tells: rows where a footer was read."""
        self._refuse_snapshot(snapshot)
        return files_table(self._folder)

    def partitions(self, snapshot: SnapshotName) -> pa.Table:
        """Partitions; their rows where all footers were read."""
        self._refuse_snapshot(snapshot)
        return partitions_table(self._folder)

    def scan(
        self, columns: Sequence[str] | str | None, where: str | BooleanExpression | None, snapshot: SnapshotName
    ) -> Scan:
        """A read of the files that were listed."""
        self._refuse_snapshot(snapshot)
        return scan_folder(self._folder, columns, where)

    def _refuse_snapshot(self, snapshot: SnapshotName) -> None:
        if snapshot is not None:
            self.iceberg()
