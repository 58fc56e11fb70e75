"""A snapshot and a filter -> its data files that can hold a row, and its delete files, from manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lakeflow_io.avro.container import damaged
from lakeflow_io.errors import UnsupportedError
from lakeflow_io.formats import READABLE
from lakeflow_io.iceberg.manifests.entries import ADDED, POSITION_PATH, Extras
from lakeflow_io.iceberg.manifests.fetch import MetadataFiles
from lakeflow_io.iceberg.manifests.listing import read_manifest_list
from lakeflow_io.iceberg.manifests.planned import PlannedPieces
from lakeflow_io.iceberg.manifests.prune import Pruner
from lakeflow_io.iceberg.manifests.values import PartitionColumns, PartitionNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

    from lakeflow_io.iceberg.manifests.entries import Entries

__all__ = ["DeleteEntry", "Plan", "plan_snapshot"]

# Of more files, those that are opened first are no matter.
_MOST_LOCATED = 1024


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """A live delete file or deletion vector."""

    path: str
    content: int
    """1: positions (or a vector), 2: values."""
    format: str
    """In capitals."""
    spec_id: int
    partition: tuple[Any, ...]
    sequence: int
    rows: int
    size: int
    """Bytes of the file."""
    equality_ids: tuple[int, ...]
    referenced: str | None
    """The one data file that it is about, if it says so."""
    offset: int | None
    """Of a vector in its file, in bytes."""
    length: int | None
    lower_path: bytes | None
    """Bounds of the data files' paths that positions are about, if they are told."""
    upper_path: bytes | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scan of one snapshot reads."""

    pieces: PlannedPieces
    deletes: list[DeleteEntry]
    """Those that may apply to one of the pieces."""


def plan_snapshot(
    manifest_list: str,
    store: Mapping[str, str],
    *,
    source: str,
    schema: Schema,
    columns: Schema,
    predicate: BooleanExpression | None,
    specs: dict[int, PartitionSpec],
    extras: Extras,
    added_by: int | None = None,
    any_format: bool = False,
) -> Plan:
    """Read a snapshot's manifests.

    Args:
        manifest_list: Its URI.
        store: Storage properties.
        source: What errors call the snapshot.
        schema: The table's, as of the scan.
        columns: Those that the predicate names, at least.
        predicate: What is wanted of rows; None for all.
        specs: The table's partition specs.
        extras: What is to be known of files beyond the necessary.
        added_by: A snapshot; of all files only those that it added.
        any_format: Take data files in that aren't Parquet.

    Raises:
        CorruptFileError: a manifest is damaged; names it.
        UnsupportedError: a data file is in a format that isn't read; names it.
        StoreError: a manifest isn't there, or the store can't be reached.
    """
    files = MetadataFiles(store)
    pruner = Pruner(columns, predicate, specs)
    bounds, extras = extras.bounds, Extras(extras.bounds | pruner.columns, extras.order, extras.sizes)
    most = max((len(spec.fields) for spec in specs.values()), default=0)
    listed = files.decoded(manifest_list, 0, lambda data: read_manifest_list(manifest_list, data, most))
    chosen = [
        manifest
        for manifest, keep in zip(listed.manifests, pruner.manifests(listed).tolist(), strict=True)
        if keep and manifest.live_files != 0 and (added_by is None or manifest.added_snapshot_id in (None, added_by))
    ]

    for manifest in chosen:
        if manifest.spec_id not in specs:
            raise damaged(
                manifest_list, f"{manifest.path} has a partition spec {manifest.spec_id}, which the table lacks"
            )

    def prune(entries: Entries) -> tuple[Entries, Entries | None]:
        if added_by is not None:  # a manifest that was merged holds files of earlier snapshots, too
            entries = entries.filtered(
                (entries.numbers("status") == ADDED) & (entries.numbers("snapshot_id") == added_by)
            )
        if not entries.count:
            return entries, None
        if "content" not in entries.arrays:  # all 0, or none has one
            return entries.filtered(pruner.files(entries)), None
        content = entries.numbers("content")
        data = entries.filtered(pruner.files(entries) & (content == 0))
        return data, entries.filtered((content != 0) & pruner.partitions(entries))

    found = files.entries(chosen, extras, prune)
    data = [each for each, _ in found if each.count]
    if sum(each.count for each in data) <= _MOST_LOCATED:
        data = [pruner.located(each) for each in data]
    for each in () if any_format else data:
        _refuse_other_formats(each, source)
    deletes = [entry for _, each in found if each is not None and each.count for entry in _deletes(each, specs)]
    return Plan(PlannedPieces(data, extras, PartitionNames(specs, schema), bounds), deletes)


def _refuse_other_formats(entries: Entries, source: str) -> None:
    formats = pc.call_function("ascii_upper", [entries.arrays["format"].cast("string")])
    known = pc.call_function("is_in", [formats], pc.SetLookupOptions(pa.array(READABLE)))
    first = pc.call_function("index", [known], pc.IndexOptions(pa.scalar(False))).as_py()  # noqa: FBT003  (a scalar)
    if first < 0:
        return
    raise UnsupportedError(
        f"{source}: {entries.arrays['path'][first]} is {formats[first]}; Parquet, ORC and Avro are read.",
        "rewrite the table's data files as Parquet.",
    )


def _deletes(entries: Entries, specs: dict[int, PartitionSpec]) -> Iterator[DeleteEntry]:
    partitions = PartitionColumns.of(entries, specs.get(entries.manifest.spec_id))
    columns = [
        _values(entries, name)
        for name in (
            "path", "content", "format", "sequence", "rows", "size", "equality_ids", "referenced",
            "content_offset", "content_size", f"lower:{POSITION_PATH}", f"upper:{POSITION_PATH}",
        )
    ]  # fmt: skip
    for partition, row in zip(partitions.rows(), zip(*columns, strict=True), strict=True):
        path, content, kind, sequence, rows, size, ids, referenced, offset, length, lower, upper = row
        yield DeleteEntry(
            path=path, content=content, format=kind.decode(errors="replace").upper(),
            spec_id=partitions.spec_id, partition=partition, sequence=sequence, rows=rows, size=size,
            equality_ids=tuple(ids or ()), referenced=referenced and referenced.decode(), offset=offset,
            length=length, lower_path=lower, upper_path=upper,
        )  # fmt: skip


def _values(entries: Entries, name: str) -> Sequence[Any]:
    array = entries.arrays.get(name)
    return [None] * entries.count if array is None else array.to_pylist()
