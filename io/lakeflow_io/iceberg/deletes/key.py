"""The columns that equality deletes compare: by field id, also those that the table doesn't have any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import NestedField

__all__ = ["Key", "Keys", "leaf"]


@dataclass(frozen=True, slots=True)
class Key:
    """What is compared, with the types that it is compared in."""

    ids: tuple[int, ...]
    schema: Schema
    """The top-level columns in which the compared ones are or lie, without what else a struct holds."""
    leaves: tuple[tuple[int, tuple[str, ...]], ...]
    """Of each compared column, as `ids` has them: its top-level column's id, and the names on the way from there."""


class Keys:
    """Keys by field ids, worked out once for all delete files that compare the same columns.

    Types are those of the newest schema that has the column: types are only ever promoted, so it holds
    what all files of the table hold.

    Args:
        metadata: The table's.
        table: Named in errors.
    """

    def __init__(self, metadata: TableMetadata, table: str) -> None:
        newest = sorted(
            metadata.schemas, key=lambda each: (each.schema_id != metadata.current_schema_id, -each.schema_id)
        )
        self._schemas, self._table = newest, table
        self._known: dict[tuple[int, ...], Key] = {}

    def of(self, ids: Sequence[int], path: str) -> Key:
        """The key of a delete file.

        Args:
            ids: Its equality ids.
            path: Its path, for errors.

        Raises:
            CorruptFileError: there are none, or no schema of the table has one of them.
            UnsupportedError: one lies in a list or a map.
        """
        ordered = tuple(sorted(set(ids)))
        if ordered not in self._known:
            self._known[ordered] = self._make(ordered, path)
        return self._known[ordered]

    def _make(self, ids: tuple[int, ...], path: str) -> Key:
        from pyiceberg.schema import Schema

        if not ids:
            raise CorruptFileError(
                f"{self._table}: {path} holds equality deletes and its manifest names no columns to compare.",
                "restore the manifest, or roll the table back to a snapshot without it.",
            )
        chains = [self._chain(field_id, path) for field_id in ids]
        tops: dict[int, list[Sequence[NestedField]]] = {}
        for chain in chains:
            tops.setdefault(chain[0].field_id, []).append(chain)
        return Key(
            ids,
            Schema(*(_pruned(group, required=False) for group in tops.values())),
            tuple((chain[0].field_id, tuple(each.name for each in chain[1:])) for chain in chains),
        )

    def _chain(self, field_id: int, path: str) -> Sequence[NestedField]:
        for schema in self._schemas:
            chain = _find(schema.fields, field_id)
            if chain is not None:
                return chain
            if field_id in schema.field_ids:
                raise UnsupportedError(
                    f"{self._table}: {path} deletes by column {schema.find_column_name(field_id)!r}, "
                    "which lies in a list or a map.",
                    "compact the table with the engine that wrote it (rewrite_data_files), then scan again.",
                )
        raise CorruptFileError(
            f"{self._table}: {path} deletes by the column with id {field_id}, which no schema of the table has.",
            "restore the table's metadata, or roll it back to a snapshot without this file.",
        )


def _find(fields: Sequence[NestedField], field_id: int) -> Sequence[NestedField] | None:
    """The fields on the way to one, itself the last; None where it isn't there, or not by structs alone."""
    from pyiceberg.types import PrimitiveType, StructType

    for field in fields:
        if field.field_id == field_id and isinstance(field.field_type, PrimitiveType):
            return (field,)
        if isinstance(field.field_type, StructType):
            rest = _find(field.field_type.fields, field_id)
            if rest is not None:
                return (field, *rest)
    return None


def _pruned(chains: Sequence[Sequence[NestedField]], *, required: bool) -> NestedField:
    """The field that all chains begin with, with what the chains name of it and nothing else."""
    from pyiceberg.types import NestedField, StructType

    first = chains[0][0]
    kind = first.field_type
    if len(chains[0]) > 1:
        children: dict[int, list[Sequence[NestedField]]] = {}
        for chain in chains:
            children.setdefault(chain[1].field_id, []).append(chain[1:])
        kind = StructType(*(_pruned(group, required=group[0][0].required) for group in children.values()))
    return NestedField(first.field_id, first.name, kind, required=required, initial_default=first.initial_default)


def leaf(columns: Mapping[str, pa.ChunkedArray], name: str, path: Sequence[str]) -> pa.Array:
    """A compared column in one piece: null wherever a struct on the way to it is."""
    whole = columns[name].combine_chunks()
    column = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    for step in path:
        column = pc.call_function("struct_field", [column], pc.StructFieldOptions([step]))
    return column.storage if isinstance(column, pa.ExtensionArray) else column
