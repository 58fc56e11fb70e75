"""Rows that go, as files with their positions: merge-on-read, which leaves the data files as they are.

The files are Iceberg's position deletes: a data file's path and the number of a row in it, sorted by both, one file
for each partition. Bounds of the path are whole, so that readers see which data files one is about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.iceberg.describe import describe_file
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.partition import binary_value
from lakeflow_io.iceberg.rewrite import each_file, full_spec
from lakeflow_io.iceberg.snapshot_internals import spec_schema
from lakeflow_io.parquet.encode import Encoder
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

    from lakeflow_io.iceberg.manifests.planned import LiveFile
    from lakeflow_io.iceberg.plan import Piece
    from lakeflow_io.iceberg.remove import Removal
    from lakeflow_io.iceberg.stage import Stager

__all__ = ["write_positions"]

# Reserved field ids: the spec, section "Reserved Field IDs".
_PATH_ID, _POSITION_ID = 2147483546, 2147483545
# Else bounds are cut behind 16 characters, where all paths of a table are still the same.
_WHOLE_BOUNDS = {"write.metadata.metrics.default": "full"}
_VERSION = 2  # the one with files of positions
_Found = tuple[str, "NDArray[np.int64]"]


def write_positions(removal: Removal, stager: Stager, name: str, memory: int) -> list[dict[str, Any]]:
    """Write the positions of the rows that go, of files of which some stay.

    Args:
        removal: The rows.
        stager: Where files go.
        name: How their names begin.
        memory: Bytes in flight. Positions take 16 more a row, in all.

    Returns:
        One JSON-ready description a file.

    Raises:
        UnsupportedError: the table's format version has no such files.
        StoreError: the store refused; what was put so far is deleted.
    """
    version = removal.table.metadata.format_version
    if version != _VERSION:
        has = "no row-level deletes" if version < _VERSION else "deletion vectors, which this version does not write"
        raise UnsupportedError(
            f"{removal.name} is of format version {version}, which has {has}.", 'use mode="copy-on-write".'
        )
    spec = full_spec(removal.table, removal.name, removal.snapshot_id, removal.columns)

    def look(piece: Piece, tables: Iterator[pa.Table]) -> _Found:
        found, start = [], 0
        for rows in tables:
            found.append(start + np.flatnonzero(removal.passes(rows)))
            start += rows.num_rows
        return piece.path, np.concatenate(found)

    places: dict[tuple[int, tuple[str | None, ...]], list[_Found]] = {}
    # All rows of the files, those that are deleted already too: positions count them.
    pieces = [replace(piece, deletes=()) for piece in removal.pieces.values()]
    for path, positions in each_file(spec, pieces, look, memory):
        places.setdefault(_place(removal.table, removal.parts[path]), []).append((path, positions))
    written: list[dict[str, Any]] = []
    try:
        for (spec_id, values), found in places.items():
            facts = _write(stager, f"{name}-deletes", sorted(found, key=lambda each: each[0]))
            written.append({**facts, "partition": list(values), "spec_id": spec_id})
    except BaseException:
        stager.discard(written)
        raise
    return written


def _place(table: Table, file: LiveFile) -> tuple[int, tuple[str | None, ...]]:
    spec = table.specs()[file.spec_id]
    kinds = spec.partition_type(spec_schema(table.metadata, spec)).fields
    return file.spec_id, tuple(binary_value(kind.field_type, file.partition[n]) for n, kind in enumerate(kinds))


def _write(stager: Stager, name: str, found: Sequence[_Found]) -> dict[str, Any]:
    schema = _delete_schema()
    arrow = arrow_schema(schema, field_ids=True)
    path = join(stager.folder, f"{name}-{uuid4()}.parquet")
    with open_transport(stager.store).open_output(path) as file:
        encoder = Encoder(arrow, stager.properties, file)
        try:
            for data_file, positions in found:
                columns = [pa.repeat(pa.scalar(data_file), len(positions)), pa.array(positions)]
                encoder.write(pa.table(columns, schema=arrow))
            metadata = encoder.close()
        except BaseException:
            encoder.abandon()
            raise
    return {
        "path": path,
        "rows": encoder.rows,
        "bytes": file.tell(),
        "sort_order_id": None,
        "deletes": True,
        **describe_file(metadata, schema, {**stager.properties, **_WHOLE_BOUNDS}),
    }


def _delete_schema() -> Schema:
    from pyiceberg.schema import Schema
    from pyiceberg.types import LongType, NestedField, StringType

    return Schema(
        NestedField(_PATH_ID, "file_path", StringType(), required=True),
        NestedField(_POSITION_ID, "pos", LongType(), required=True),
    )
