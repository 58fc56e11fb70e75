"""Whatever holds rows -> Arrow tables of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.scan import Scan
from lakeflow_engines.frames import to_arrow
from lakeflow_io.errors import InputError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["bounded_tables"]


def bounded_tables(data: Any, size: int) -> Iterator[pa.Table]:
    """Cut a stream into tables; what can't be streamed is one table.

    Args:
        data: Anything with an Arrow stream, a pandas frame, a dict of columns, or a list of rows.
        size: Bytes of Arrow memory that a table has, about, at most.

    Yields:
        At least one, so that an empty stream tells its columns.

    Raises:
        InputError: the stream fails with an error that is Arrow's; any other is raised as it is.
        SchemaError: it holds no columns, or columns of different lengths.
    """
    if not hasattr(data, "__arrow_c_stream__") or type(data).__module__.startswith("pandas"):
        yield to_arrow(data, "The data", SchemaError)
        return
    reader = _reader(data)
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in _cut(_batches(reader), size):
        held.append(batch)
        held_bytes += batch.nbytes
        if held_bytes >= size:
            yield pa.Table.from_batches(held)
            held, held_bytes = [], 0
    yield pa.Table.from_batches(held, reader.schema)


def _reader(data: Any) -> pa.RecordBatchReader:
    """What raises behind an Arrow C stream comes out as text: streams that we know are read without one."""
    if isinstance(data, pa.RecordBatchReader):
        return data
    return data.to_reader() if isinstance(data, Scan) else pa.RecordBatchReader.from_stream(data)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except pa.ArrowException as error:
            raise InputError(f"The data can't be read: {error}", "see what its source says.") from error
        yield batch


def _cut(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Batches of about `size` bytes at most."""
    for batch in batches:
        rows = max(1, int(batch.num_rows * size / max(1, batch.nbytes)))
        for start in range(0, max(1, batch.num_rows), rows):
            yield batch.slice(start, rows)
