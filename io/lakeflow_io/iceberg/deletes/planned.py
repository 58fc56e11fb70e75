"""The delete entries of a snapshot's manifests -> an index of them, and pieces that carry theirs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.deletes.index import DeleteIndex
from lakeflow_io.iceberg.deletes.key import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table.metadata import TableMetadata

    from lakeflow_io.iceberg.manifests.snapshot import DeleteEntry
    from lakeflow_io.iceberg.plan import Piece

__all__ = ["counted", "index_of", "unpartitioned"]

_EQUALITY = 2  # among the kinds of content


def unpartitioned(metadata: TableMetadata) -> set[int]:
    """Ids of the specs without partitions: equality deletes under them apply to the whole table."""
    from pyiceberg.transforms import VoidTransform

    specs = metadata.specs().values()
    return {spec.spec_id for spec in specs if all(isinstance(part.transform, VoidTransform) for part in spec.fields)}


def index_of(entries: Sequence[DeleteEntry], metadata: TableMetadata, source: str) -> DeleteIndex:
    """Take in the live delete files of a snapshot.

    Raises:
        CorruptFileError: an entry contradicts itself.
        UnsupportedError: equality deletes compare a column that can't be compared.
    """
    index, keys = DeleteIndex(unpartitioned(metadata), source), Keys(metadata, source)
    for entry in entries:
        key = keys.of(entry.equality_ids, entry.path) if entry.content == _EQUALITY else None
        is_vector = key is None and entry.format == "PUFFIN"
        low, high = entry.lower_path, entry.upper_path
        index.add(
            DeleteFile(
                kind="equality" if key is not None else "vector" if is_vector else "position",
                path=entry.path,
                size=entry.size,
                sequence=entry.sequence,
                rows=entry.rows,
                format=entry.format,
                offset=(entry.offset or 0) if is_vector else 0,
                length=(entry.length or 0) if is_vector else 0,
                equality_ids=key.ids if key is not None else (),
                key=key,
            ),
            entry.spec_id,
            entry.partition,
            entry.referenced,
            (low, high) if low is not None and high is not None else None,
        )
    return index


def counted(pieces: Sequence[Piece]) -> list[Piece]:
    """Pieces of all files of a snapshot, whose delete files know to how many of them they apply.

    Files with the same deletes share one tuple of them, as in `pieces`.
    """
    files = Counter(delete.name for piece in pieces for delete in piece.deletes)
    made: dict[tuple[str, int], DeleteFile] = {}
    shared: dict[int, tuple[DeleteFile, ...]] = {}
    for piece in pieces:
        if id(piece.deletes) in shared:
            continue
        for delete in piece.deletes:
            if delete.name not in made:
                made[delete.name] = replace(delete, files=files[delete.name])
        shared[id(piece.deletes)] = tuple(made[delete.name] for delete in piece.deletes)
    return [replace(piece, deletes=shared[id(piece.deletes)]) if piece.deletes else piece for piece in pieces]
