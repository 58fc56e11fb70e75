"""One file of row-level deletes, as a manifest has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lakeflow_io.iceberg.deletes.key import Key

__all__ = ["DeleteFile"]


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Deletes that apply to one or more data files. Pieces of files carry them, so it is small."""

    kind: Literal["position", "equality", "vector"]
    """Rows by path and position; by their values; a bitmap of one data file's positions."""
    path: str
    size: int
    """Bytes of the whole file."""
    sequence: int
    """Data sequence number."""
    rows: int = 0
    """Deletes in it: of a vector, its cardinality."""
    format: str = "PARQUET"
    """As manifests spell it: `PARQUET`, `AVRO`, `ORC`, `PUFFIN`."""
    offset: int = 0
    """Where a vector's blob begins."""
    length: int = 0
    """Bytes of a vector's blob."""
    equality_ids: tuple[int, ...] = ()
    """Field ids of the columns whose values are compared, ascending."""
    key: Key | None = field(default=None, compare=False, repr=False)
    """The same columns, to be read; of equality deletes only."""
    files: int = field(default=0, compare=False)
    """Data files of the snapshot that it applies to; 0 where that is unknown, as in a scan with a filter."""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def name(self) -> tuple[str, int]:
        """What tells it from all others: several vectors lie in one file."""
        return self.path, self.offset
