"""A snapshot and a predicate -> the pieces of data files to read, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.iceberg.expected import expected_columns, leaf_ids
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.iceberg.vended import table_store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.name_mapping import NameMapping
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.typedef import TableVersion

    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.iceberg.manifests.planned import LiveFile
    from lakeflow_io.iceberg.manifests.snapshot import Plan

__all__ = [
    "Piece",
    "ReadSpec",
    "live_files",
    "plan_files",
    "plan_of",
    "plan_pieces",
    "read_spec",
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
    """Before deletes. Exact where the piece is a whole file of a table, or `split_rows` are known; else its
    share by bytes, and of a folder's files an estimate."""
    partition: str
    """The partition as `name=value/...`, for people; empty in an unpartitioned table."""
    partition_key: str
    """The same, exactly: null and the text "null" differ in it, and so do two partition specs."""
    splits: tuple[int, ...] = ()
    """Where row groups begin in this piece, ascending, as far as the manifest or a footer told."""
    split_rows: tuple[int, ...] = ()
    """Rows of each of these row groups, where the footer was read; else none."""
    first_row: int | None = 0
    """Position of the piece's first row in its file: what position deletes count. None where only the footer
    can tell; it is counted when the piece is read, and `Shard.exact` tells it before."""
    constants: tuple[tuple[int, Any], ...] = ()
    """Values by field id for columns that a file may leave to its identity partition."""
    chunks: tuple[tuple[int, int, int], ...] = ()
    """Field id, start and length of columns that the scan reads, as manifests let them be guessed."""
    likely: tuple[float, float] | None = field(default=None, compare=False)
    """Where a filter's rows are in the file if it is sorted, as shares of it from 0 to 1; None for anywhere."""
    footer: bytes = field(default=b"", repr=False)
    """The file's, with its trailer, where it was read while the scan was being planned."""
    format: str = "PARQUET"
    """As manifests spell it: `PARQUET`, `ORC`, `AVRO`."""
    deletes: tuple[DeleteFile, ...] = ()
    """Row-level deletes that apply to the file."""

    def __reduce__(self) -> tuple[Any, ...]:
        """By its values: half the time of what dataclasses do themselves."""
        return Piece, tuple(getattr(self, name) for name in _PIECE_FIELDS)

    @property
    def bytes(self) -> int:
        """Bytes of the file in this piece."""
        return self.end - self.start

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its file."""
        return self.start == 0 and self.end >= self.file_size


_PIECE_FIELDS = tuple(each.name for each in fields(Piece))


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
    buckets: tuple[tuple[str, int], ...] = ()
    """Columns by which the table is partitioned with `bucket[N]` now, and N; its files may lie otherwise."""

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
        buckets=tuple(_buckets(table, schema)),
    )


def _buckets(table: Table, schema: Schema) -> Iterator[tuple[str, int]]:
    from pyiceberg.transforms import BucketTransform

    for part in table.spec().fields:
        name = schema.find_column_name(part.source_id)
        if isinstance(part.transform, BucketTransform) and name is not None:
            yield name, part.transform.num_buckets


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
        CorruptFileError: a manifest is damaged, or a delete file's entry contradicts itself; names it.
        UnsupportedError: a file, or one with its deletes, is in a format that isn't read.
    """
    plan = _planned(table, spec)
    return [] if plan is None else _with_deletes(table, spec, plan)


def plan_files(table: Table, spec: ReadSpec, bounds: Collection[int]) -> tuple[Sequence[Piece], list[LiveFile]]:
    """As `plan_pieces`, and of each piece what its manifest tells of the file.

    Args:
        table: The table.
        spec: What is read.
        bounds: Field ids of the columns of which counts and bounds are wanted.
    """
    plan = _planned(table, spec, bounds)
    return ([], []) if plan is None else (_with_deletes(table, spec, plan), list(plan.pieces.files()))


def live_files(table: Table, spec: ReadSpec, bounds: Collection[int] = ()) -> dict[str, LiveFile]:
    """The data files that can hold rows of the scan by path, of any format and whatever is deleted of their rows.

    Args:
        table: The table.
        spec: What is read.
        bounds: As for `plan_files`.

    Raises:
        CorruptFileError: a manifest is damaged; names it.
    """
    plan = _planned(table, spec, bounds, any_format=True)
    return {} if plan is None else {file.path: file for file in plan.pieces.files()}


def _planned(table: Table, spec: ReadSpec, bounds: Collection[int] = (), *, any_format: bool = False) -> Plan | None:
    snapshot = None if spec.snapshot_id is None else table.metadata.snapshot_by_id(spec.snapshot_id)
    return None if snapshot is None else plan_of(table, spec, snapshot, bounds=bounds, any_format=any_format)


def _with_deletes(table: Table, spec: ReadSpec, plan: Plan) -> Sequence[Piece]:
    """The pieces of a plan, with the deletes that apply to each."""
    from lakeflow_io.iceberg.deletes.planned import counted, index_of

    if not plan.deletes:
        return plan.pieces
    deletes = index_of(plan.deletes, table.metadata, spec.source)
    shared: dict[tuple[DeleteFile, ...], tuple[DeleteFile, ...]] = {}  # pieces are pickled by the thousand
    pieces = []
    for piece, file in zip(plan.pieces, plan.pieces.files(), strict=True):
        found = deletes.for_file(file.path, file.spec_id, file.partition, file.sequence)
        pieces.append(replace(piece, deletes=shared.setdefault(found, found)))
    return counted(pieces) if spec.filter is None else pieces


def plan_of(
    table: Table,
    spec: ReadSpec,
    snapshot: Snapshot,
    *,
    added: bool = False,
    bounds: Collection[int] = (),
    any_format: bool = False,
) -> Plan:
    """The files of a snapshot that can matter to a scan.

    Args:
        table: The snapshot's.
        spec: What is read.
        snapshot: Whose manifests are read.
        added: Of its files only those that it added itself.
        bounds: As for `plan_files`.
        any_format: Take files in that aren't Parquet.

    Raises:
        CorruptFileError: a manifest is damaged; names it.
        UnsupportedError: a data file is in a format that isn't read.
    """
    from lakeflow_io.iceberg.manifests.entries import Extras
    from lakeflow_io.iceberg.manifests.snapshot import plan_snapshot

    # The scan's own schema, which may lack or mean something else by a column than the current one.
    metadata = table.metadata.model_copy(update={"current_schema_id": spec.columns.schema_id})
    with translated(f"plan a scan of {spec.source}"):
        return plan_snapshot(
            snapshot.manifest_list,
            spec.store,
            source=spec.source,
            schema=metadata.schema(),
            columns=spec.filter_columns,
            predicate=spec.filter,
            specs=metadata.specs(),
            extras=Extras(frozenset(bounds), *expected_columns(table.schema(), spec)),
            added_by=snapshot.snapshot_id if added else None,
            any_format=any_format,
        )
