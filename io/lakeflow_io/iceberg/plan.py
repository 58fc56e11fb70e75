"""A snapshot and a predicate -> the pieces of data files to read, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.iceberg.expected import expected_chunks, expected_columns, leaf_ids
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.iceberg.vended import table_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.name_mapping import NameMapping
    from pyiceberg.typedef import TableVersion

    from lakeflow_io.iceberg.deletes.file import DeleteFile

__all__ = [
    "Piece",
    "ReadSpec",
    "names_double_partition",
    "piece_maker",
    "plan_pieces",
    "read_spec",
    "refuse_unreadable",
    "select_fields",
]


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
    footer: bytes = field(default=b"", repr=False)
    """The file's, with its trailer, where it was read while the scan was being planned."""
    deletes: tuple[DeleteFile, ...] = ()
    """Row-level deletes that apply to the file."""

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


def piece_maker(table: Table, spec: ReadSpec) -> Callable[[DataFile], Piece]:
    """What makes pieces of whole data files, as their manifests have them, for one scan."""
    metadata, specs = table.metadata, table.metadata.specs()
    order, wanted = list(leaf_ids(table.schema().fields)), set(leaf_ids(spec.filter_columns.fields))
    guesses = len(wanted) < spec.width  # else row groups are read whole

    def piece(file: DataFile) -> Piece:
        partition_spec = specs[file.spec_id]
        return Piece(
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

    return piece


def refuse_unreadable(file: DataFile, source: str) -> None:
    """Refuse a data file of a format that isn't read.

    Raises:
        UnsupportedError: names the file and its format.
    """
    if file.file_format != "PARQUET":
        raise UnsupportedError(
            f"{source}: {file.file_path} is {file.file_format.value}, not Parquet.",
            "rewrite the table's data files as Parquet.",
        )


def _identity_values(spec: PartitionSpec, file: DataFile) -> tuple[tuple[int, Any], ...]:
    from pyiceberg.transforms import IdentityTransform

    return tuple(
        (part.source_id, file.partition[position])
        for position, part in enumerate(spec.fields)
        if isinstance(part.transform, IdentityTransform)
    )


def names_double_partition(table: Table, predicate: BooleanExpression) -> bool:
    """Tell whether a predicate looks at a column of doubles by which some files are partitioned."""
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


def plan_pieces(table: Table, spec: ReadSpec) -> Sequence[Piece]:
    """The data files that can hold rows of the scan, pruned by partition and by column bounds.

    Returns:
        One piece a file, sorted by path: the same for the same snapshot, wherever it is planned.

    Raises:
        CorruptFileError: a manifest is damaged, or a delete file's entry contradicts itself; names it.
        UnsupportedError: a file isn't Parquet, or has deletes in a format that isn't read.
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
        return _with_deletes(table, spec, spec.snapshot_id) if plan.deletes else plan.pieces


def _with_deletes(table: Table, spec: ReadSpec, snapshot_id: int) -> list[Piece]:
    """As `plan_pieces`, entry by entry: which deletes apply to a file is told by its partition and sequence number."""
    from pyiceberg.expressions import AlwaysTrue

    from lakeflow_io.iceberg.deletes.planned import counted, index_of, sequence_of
    from lakeflow_io.iceberg.internals import planned_entries

    with translated(f"plan a scan of {spec.source}"):
        # pyiceberg plans with the current schema, which may lack or mean something else by a column
        # that the filter on an older snapshot names: make the scan's own schema the current one.
        metadata = table.metadata.model_copy(update={"current_schema_id": spec.columns.schema_id})
        prunes = spec.filter is not None and not names_double_partition(table, spec.filter)
        row_filter = spec.filter if spec.filter is not None and prunes else AlwaysTrue()
        entries = planned_entries(metadata, table.io, row_filter, snapshot_id)
        deletes = index_of(entries.deletes, table.metadata, spec.source) if entries.deletes else None
    piece, pieces = piece_maker(table, spec), []
    for entry in entries.data:
        file = entry.data_file
        refuse_unreadable(file, spec.source)
        made = piece(file)
        if deletes is not None:
            values = [file.partition[i] for i in range(len(table.specs()[file.spec_id].fields))]
            applied = deletes.for_file(file.file_path, file.spec_id, values, sequence_of(entry, spec.source))
            made = replace(made, deletes=applied)
        pieces.append(made)
    pieces.sort(key=lambda piece: piece.path)
    return counted(pieces) if deletes is not None and spec.filter is None else pieces
