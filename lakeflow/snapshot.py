"""One committed state of a table, as users see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed state of a table."""

    id: int
    parent_id: int | None
    committed: datetime
    """UTC."""
    operation: str
    """`append`, `overwrite`, `delete` or `replace`."""
    summary: dict[str, str]
    """What the writer recorded: counts, and `lakeflow.run-id` where a run made it."""

    @classmethod
    def of(cls, snapshot: IcebergSnapshot) -> Snapshot:
        """From pyiceberg's."""
        summary = snapshot.summary
        return cls(
            id=snapshot.snapshot_id,
            parent_id=snapshot.parent_snapshot_id,
            committed=datetime.fromtimestamp(snapshot.timestamp_ms / 1000, tz=UTC),
            operation=str(summary.operation.value) if summary else "",
            summary=dict(summary.additional_properties) if summary else {},
        )
