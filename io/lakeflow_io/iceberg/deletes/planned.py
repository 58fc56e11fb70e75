"""The delete entries of a snapshot's manifests -> an index of them, and pieces that carry theirs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.deletes.index import DeleteIndex
from lakeflow_io.iceberg.deletes.key import Keys
from lakeflow_io.iceberg.internals import vector_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.manifest import ManifestEntry
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table.metadata import TableMetadata

    from lakeflow_io.iceberg.plan import Piece

__all__ = ["counted", "index_of", "sequence_of", "unpartitioned"]

_PATH_ID = 2147483546  # https://iceberg.apache.org/spec/#reserved-field-ids


def unpartitioned(metadata: TableMetadata) -> set[int]:
    """Ids of the specs without partitions: equality deletes under them apply to the whole table."""
    from pyiceberg.transforms import VoidTransform

    specs = metadata.specs().values()
    return {spec.spec_id for spec in specs if all(isinstance(part.transform, VoidTransform) for part in spec.fields)}


def index_of(entries: Sequence[ManifestEntry], metadata: TableMetadata, source: str) -> DeleteIndex:
    """Take in the live entries of delete manifests, read with the columns of version 3.

    Raises:
        CorruptFileError: an entry contradicts itself.
        UnsupportedError: equality deletes of a partition that can't be told from others.
    """
    index, keys, specs = DeleteIndex(unpartitioned(metadata), source), Keys(metadata, source), metadata.specs()
    for entry in entries:
        file, spec = entry.data_file, specs[entry.data_file.spec_id]
        low, high = (file.lower_bounds or {}).get(_PATH_ID), (file.upper_bounds or {}).get(_PATH_ID)
        equality = file.content.name == "EQUALITY_DELETES"
        if equality:
            _refuse_doubles(spec, metadata, source, file.file_path)
        key = keys.of(file.equality_ids or (), file.file_path) if equality else None
        referenced, offset, length = vector_place(file)
        kind = "equality" if equality else "vector" if file.file_format == "PUFFIN" else "position"
        index.add(
            DeleteFile(
                kind=kind,  # type: ignore[arg-type]  # one of the three
                path=file.file_path,
                size=file.file_size_in_bytes,
                sequence=sequence_of(entry, source),
                rows=file.record_count,
                format=str(file.file_format.value),
                offset=offset if kind == "vector" and offset is not None else 0,
                length=length if kind == "vector" and length is not None else 0,
                equality_ids=key.ids if key is not None else (),
                key=key,
            ),
            file.spec_id,
            [file.partition[position] for position in range(len(spec.fields))],
            referenced,
            (low, high) if low is not None and high is not None else None,
        )
    return index


def sequence_of(entry: ManifestEntry, source: str) -> int:
    """An entry's data sequence number, inherited from its manifest where that is allowed.

    Raises:
        CorruptFileError: it has none.
    """
    if entry.sequence_number is None:
        raise CorruptFileError(
            f"{source}: the manifest entry of {entry.data_file.file_path} has no sequence number.",
            "restore the manifest, or roll the table back to a snapshot without it.",
        )
    return entry.sequence_number


def counted(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces of all files of a snapshot, whose delete files know to how many of them they apply."""
    files = Counter(delete.name for piece in pieces for delete in piece.deletes)
    made: dict[tuple[str, int], Any] = {}
    for piece in pieces:
        for delete in piece.deletes:
            if delete.name not in made:
                made[delete.name] = replace(delete, files=files[delete.name])
    return [
        replace(piece, deletes=tuple(made[delete.name] for delete in piece.deletes)) if piece.deletes else piece
        for piece in pieces
    ]


def _refuse_doubles(spec: PartitionSpec, metadata: TableMetadata, source: str, path: str) -> None:
    # pyiceberg's compiled decoder reads a double partition value as a float: two partitions may look like one.
    from pyiceberg.types import DoubleType

    for part in spec.fields:
        kinds = [s.find_field(part.source_id).field_type for s in metadata.schemas if part.source_id in s.field_ids]
        if str(part.transform) == "identity" and any(isinstance(kind, DoubleType) for kind in kinds):
            raise UnsupportedError(
                f"{source}: {path} holds equality deletes of a partition by {part.name!r}, which is a double.",
                "compact the table with the engine that wrote it (rewrite_data_files), then scan again.",
            )
