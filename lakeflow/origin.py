"""Where the files of a scan come from: a table, a folder of plain files, or a plan that was made before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lakeflow_io.iceberg.changes import added_pieces
from lakeflow_io.iceberg.plan import plan_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from lakeflow_io.iceberg.plan import Piece, ReadSpec

__all__ = ["ChangesOrigin", "Origin", "TableOrigin"]


class Origin(Protocol):
    """What a scan narrows. `lakeflow_io.folder.Folder` is one, too."""

    @property
    def schema(self) -> Schema:
        """All columns, whatever is selected."""
        ...

    def pieces(self, spec: ReadSpec, /) -> Sequence[Piece]:
        """The files left after pruning, in the order in which they are read."""
        ...

    def detached(self, pieces: Sequence[Piece], /) -> Origin:
        """What stands for this one in another process, `pieces` having been planned."""
        ...


@dataclass(frozen=True, slots=True)
class TableOrigin:
    """An Iceberg table, by one of its schemas."""

    table: IcebergTable
    schema: Schema

    def pieces(self, spec: ReadSpec) -> Sequence[Piece]:
        """By partition and by the column bounds in manifests."""
        return plan_pieces(self.table, spec)

    def detached(self, pieces: Sequence[Piece]) -> Origin:
        """The plan alone: the connection to the catalog doesn't travel."""
        return _Planned(self.schema, pieces)


@dataclass(frozen=True, slots=True)
class ChangesOrigin(TableOrigin):
    """The data files that some snapshots of an Iceberg table added."""

    snapshots: list[IcebergSnapshot]

    def pieces(self, spec: ReadSpec) -> Sequence[Piece]:
        """By partition and by the column bounds in manifests; only those of these snapshots are read."""
        return added_pieces(self.table, spec, self.snapshots)


@dataclass(frozen=True, slots=True)
class _Planned:
    """Files that were planned in another process: a filter that is added leaves out their row groups only."""

    schema: Schema
    planned: Sequence[Piece]

    def pieces(self, spec: ReadSpec) -> Sequence[Piece]:
        del spec
        return self.planned

    def detached(self, pieces: Sequence[Piece]) -> Origin:
        del pieces
        return self
