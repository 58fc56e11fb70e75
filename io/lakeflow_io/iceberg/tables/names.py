"""What files of a snapshot are called, in tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

__all__ = ["CONTENT", "partition_text"]

CONTENT = ("data", "position deletes", "equality deletes")
"""What a file holds, by the number that manifests have for it."""


def partition_text(table: Table, file: DataFile) -> str:
    """`name=value/...`, as `Shard.partition` has it; empty where the file's spec has no fields."""
    spec = table.metadata.specs()[file.spec_id]
    return spec.partition_to_path(file.partition, table.metadata.schema())
