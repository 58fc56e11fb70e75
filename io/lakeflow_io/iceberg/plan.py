"""A snapshot and a predicate -> the pieces of data files to read, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.iceberg.expected import expected_chunks, expected_columns, leaf_ids
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.iceberg.vended import table_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.name_mapping import NameMapping
    from pyiceberg.typedef import TableVersion

_COMPACT = "compact the table with the engine that wrote it (rewrite_data_files), then scan again."

__all__ = ["Piece", "ReadSpec", "plan_pieces", "read_spec", "select_fields"]


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of one data file that belongs to one shard: the row groups that start in a range."""

    path: str
    file_size: int
    """Bytes of the whole file, from the manifest."""
    start: int
    """Row groups that begin at or behind this byte ..."""
    end: int
    """... and before this one."""
    rows: int
    """Exact where the piece is a whole file of a table, else its share by bytes; of a folder's files an estimate."""
    partition: str
    """The partition as `name=value/...`, for people; empty in an unpartitioned table."""
    partition_key: str
    """The same, exactly: null and the text "null" differ in it, and so do two partition specs."""
    splits: tuple[int, ...] = ()
    """Where row groups begin in this piece, ascending, as far as the manifest knows."""
    constants: tuple[tuple[int, Any], ...] = ()
    """Values by field id for columns that a file may leave to its identity partition."""
    chunks: tuple[tuple[int, int, int], ...] = ()
    """Field id, start and length of columns that the scan reads, as `expected_chunks` guesses them."""

    @property
    def bytes(self) -> int:
        """Bytes of the file in this piece."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """How to read any piece of one scan; the same for all its shards, and small."""

    table: str
    snapshot_id: int | None
    columns: Schema
    """What leaves the reader, in order."""
    filter_columns: Schema
    """`columns` and what the predicate needs besides."""
    filter: BooleanExpression | None
    name_mapping: NameMapping | None
    format_version: TableVersion
    store: dict[str, str] = field(repr=False)
    """Storage properties, with credentials."""
    width: int = 0
    """Leaf columns of the table; 0 where that is unknown."""
    match: Literal["id", "name"] = "id"
    """What tells which column of a file is which: Iceberg's field ids, or, in a folder of plain files, names."""

    @property
    def source(self) -> str:
        """`table@snapshot`; of what has no snapshots, its name."""
        return self.table if self.snapshot_id is None else f"{self.table}@{self.snapshot_id}"


def read_spec(
    table: Table,
    name: str,
    snapshot_id: int | None,
    columns: list[str],
    predicate: BooleanExpression | None,
    schema: Schema,
) -> ReadSpec:
    """Collect what workers need to read `columns` of a pinned snapshot; every column is known to exist."""
    from lakeflow_io.iceberg.predicate import referenced_columns

    extra = [c for c in (referenced_columns(predicate) if predicate else []) if c not in columns]
    return ReadSpec(
        table=name,
        snapshot_id=snapshot_id,
        columns=select_fields(schema, columns),
        filter_columns=select_fields(schema, columns + extra),
        filter=predicate,
        name_mapping=table.metadata.name_mapping(),
        format_version=table.metadata.format_version,
        store=table_store(table),
        width=sum(1 for _ in leaf_ids(schema.fields)),
    )


def select_fields(schema: Schema, columns: Sequence[str]) -> Schema:
    """The top-level fields that `columns` name or lie in, in that order, once each."""
    from pyiceberg.schema import Schema

    # A predicate on a field of a struct ("address.city") needs the struct.
    tops = list(dict.fromkeys(c if c in {f.name for f in schema.fields} else c.partition(".")[0] for c in columns))
    by_name = {f.name: f for f in schema.fields}
    return Schema(*(by_name[name] for name in tops), schema_id=schema.schema_id)


def plan_pieces(table: Table, spec: ReadSpec) -> Sequence[Piece]:
    """The data files that can hold rows of the scan, pruned by partition and by column bounds.

    Returns:
        One piece a file, sorted by path: the same for the same snapshot, wherever it is planned.

    Raises:
        CorruptFileError: a manifest is damaged; names it.
        UnsupportedError: a file has deletes, or isn't Parquet.
    """
    from lakeflow_io.iceberg.manifests.entries import Extras
    from lakeflow_io.iceberg.manifests.snapshot import plan_snapshot

    if spec.snapshot_id is None:
        return []
    snapshot = table.metadata.snapshot_by_id(spec.snapshot_id)
    if snapshot is None:
        return []
    # The scan's own schema, which may lack or mean something else by a column than the current one.
    metadata = table.metadata.model_copy(update={"current_schema_id": spec.columns.schema_id})
    with translated(f"plan a scan of {spec.source}"):
        plan = plan_snapshot(
            snapshot.manifest_list,
            spec.store,
            source=spec.source,
            schema=metadata.schema(),
            columns=spec.filter_columns,
            predicate=spec.filter,
            specs=metadata.specs(),
            extras=Extras(frozenset(), *expected_columns(table.schema(), spec)),
        )
        return _with_deletes(table, spec) if plan.deletes else plan.pieces


def _with_deletes(table: Table, spec: ReadSpec) -> list[Piece]:
    """As `plan_pieces`, by pyiceberg: it knows which deletes apply to which file."""
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.table import DataScan

    if spec.snapshot_id is None:
        return []
    with translated(f"plan a scan of {spec.source}"):
        # pyiceberg plans with the current schema, which may lack or mean something else by a column
        # that the filter on an older snapshot names: make the scan's own schema the current one.
        metadata = table.metadata.model_copy(update={"current_schema_id": spec.columns.schema_id})
        prunes = spec.filter is not None and not _names_double_partition(table, spec.filter)
        row_filter = spec.filter if spec.filter is not None and prunes else AlwaysTrue()
        try:
            tasks = list(DataScan(metadata, table.io, row_filter, snapshot_id=spec.snapshot_id).plan_files())
        except (NotImplementedError, ValueError) as error:
            if "equality deletes" not in str(error):
                raise
            raise UnsupportedError(
                f"{spec.source} has equality deletes, which this version does not apply.", _COMPACT
            ) from error
    specs = metadata.specs()
    order, wanted = list(leaf_ids(table.schema().fields)), set(leaf_ids(spec.filter_columns.fields))
    guesses = len(wanted) < spec.width  # else row groups are read whole
    pieces = []
    for task in tasks:
        file = task.file
        _refuse_unreadable(file, task.delete_files, spec.source)
        partition_spec = specs[file.spec_id]
        pieces.append(
            Piece(
                path=file.file_path,
                file_size=file.file_size_in_bytes,
                start=0,
                end=file.file_size_in_bytes,
                rows=file.record_count,
                partition=partition_spec.partition_to_path(file.partition, metadata.schema()),
                splits=tuple(sorted(file.split_offsets or ())),
                partition_key=f"{file.spec_id}:{[file.partition[i] for i in range(len(partition_spec.fields))]!r}",
                constants=_identity_values(partition_spec, file),
                chunks=expected_chunks(file, order, wanted) if guesses else (),
            )
        )
    return sorted(pieces, key=lambda piece: piece.path)


def _names_double_partition(table: Table, predicate: BooleanExpression) -> bool:
    # pyiceberg's compiled decoder reads a double partition value as a float: comparing it would
    # prune files that hold wanted rows. The residual filter finds them.
    from pyiceberg.types import DoubleType

    from lakeflow_io.iceberg.predicate import referenced_columns

    named = set(referenced_columns(predicate))
    return any(
        table.schema().find_column_name(part.source_id) in named
        and isinstance(table.schema().find_field(part.source_id).field_type, DoubleType)
        for spec in table.specs().values()
        for part in spec.fields
    )


def _refuse_unreadable(file: DataFile, deletes: Any, source: str) -> None:
    if file.file_format != "PARQUET":
        raise UnsupportedError(
            f"{source}: {file.file_path} is {file.file_format.value}, not Parquet.",
            "rewrite the table's data files as Parquet.",
        )
    if deletes:
        delete = next(iter(deletes))
        raise UnsupportedError(
            f"{source}: {file.file_path} has row-level deletes ({delete.content.name} in {delete.file_path}), "
            "which this version does not apply.",
            _COMPACT,
        )


def _identity_values(spec: PartitionSpec, file: DataFile) -> tuple[tuple[int, Any], ...]:
    from pyiceberg.transforms import IdentityTransform

    return tuple(
        (part.source_id, file.partition[position])
        for position, part in enumerate(spec.fields)
        if isinstance(part.transform, IdentityTransform)
    )
