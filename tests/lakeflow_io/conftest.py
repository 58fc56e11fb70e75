"""Data files made in memory, and the means to read them without a catalog."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoded import encoded
from pyiceberg.expressions.parser import parse
from pyiceberg.schema import Schema

from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_schema, fresh_schema
from lakeflow_io.iceberg.plan import Piece, ReadSpec
from lakeflow_io.orc.tail import read_tail
from lakeflow_io.parquet.encode import encode
from lakeflow_io.parquet.ranges import row_group_start
from lakeflow_io.reader import read_batches
from lakeflow_io.storage import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class MemoryFiles:
    """Data files of one table in memory, written by lakeflow's own encoder."""

    schema: Schema
    row_group: int
    transport: MemoryTransport = field(default_factory=MemoryTransport)
    pieces: list[Piece] = field(default_factory=list)
    folder: str = "memory://tests/data"
    store: dict[str, str] = field(default_factory=dict)

    def add(self, data: pa.Table) -> Piece:
        """Write one file."""
        uri = f"{self.folder}/file-{len(self.pieces):03d}.parquet"
        rows = conform(data, arrow_schema(self.schema, field_ids=True), "tests")
        encoded = pa.BufferOutputStream()
        encode(rows, {"write.parquet.row-group-limit": str(self.row_group)}, encoded)
        return self.add_bytes(uri, encoded.getvalue().to_pybytes())

    def add_bytes(self, uri: str, encoded: bytes) -> Piece:
        """Take a file that is encoded already."""
        self.transport.objects[uri] = encoded
        metadata = pq.read_metadata(pa.BufferReader(encoded))
        splits = tuple(row_group_start(metadata.row_group(i)) for i in range(metadata.num_row_groups))
        size = len(encoded)
        self.pieces.append(Piece(uri, size, 0, size, metadata.num_rows, "", "", splits))
        return self.pieces[-1]

    def put(self, kind: str, rows: pa.Table, data: bytes | None = None, **options: Any) -> Piece:
        """Write one file in any format: its rows, and options of `encoded`, or its bytes."""
        uri = f"{self.folder}/file-{len(self.pieces):03d}.{kind.lower()}"
        data = encoded(kind, rows, options.pop("schema", self.schema), **options) if data is None else data
        if kind == "PARQUET":
            return self.add_bytes(uri, data)
        self.transport.objects[uri] = data
        stripes = read_tail(uri, len(data), memoryview(data)) if kind == "ORC" else []
        splits = tuple(stripe.where.start for stripe in stripes) if isinstance(stripes, list) else ()
        self.pieces.append(Piece(uri, len(data), 0, len(data), rows.num_rows, "", "", splits, format=kind))
        return self.pieces[-1]

    def spec(self, columns: list[str] | None = None, where: str | None = None) -> ReadSpec:
        """What a scan of `columns` with a filter would hand to the reader."""
        predicate = parse(where) if where else None
        by_name = {each.name: each for each in self.schema.fields}
        wanted = columns if columns is not None else list(by_name)
        extra = [name for name in by_name if where and name in where and name not in wanted]
        return ReadSpec(
            table="tests",
            snapshot_id=1,
            columns=Schema(*(by_name[name] for name in wanted)),
            filter_columns=Schema(*(by_name[name] for name in [*wanted, *extra])),
            filter=predicate,
            name_mapping=None,
            format_version=2,
            store=self.store,
        )

    def read(self, spec: ReadSpec | None = None, pieces: Any = None, **options: Any) -> pa.Table:
        """All rows, through the reader."""
        spec = spec or self.spec()
        chosen = self.pieces if pieces is None else pieces
        batches = read_batches(spec, chosen, transport=self.transport, **options)
        return pa.Table.from_batches(batches, arrow_schema(spec.columns))


@pytest.fixture
def memory_files() -> Callable[..., MemoryFiles]:
    """A maker of `MemoryFiles` for an Arrow schema."""

    def make(schema: pa.Schema, row_group: int = 100) -> MemoryFiles:
        return MemoryFiles(fresh_schema(schema, 2), row_group)

    return make
