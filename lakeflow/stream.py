"""Whatever holds rows -> Arrow tables of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_engines.frames import to_arrow
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bounded_tables"]


def bounded_tables(data: Any, size: int) -> Iterator[pa.Table]:
    """Cut a stream into tables; what can't be streamed is one table.

    Args:
        data: Anything with an Arrow stream, a pandas frame, a dict of columns, or a list of rows.
        size: Bytes of Arrow memory that a table has, about, at most.

    Raises:
        SchemaError: it holds no columns, or columns of different lengths.
    """
    if not hasattr(data, "__arrow_c_stream__") or type(data).__module__.startswith("pandas"):
        yield to_arrow(data, "The data to append", SchemaError)
        return
    reader = pa.RecordBatchReader.from_stream(data)
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in reader:
        held.append(batch)
        held_bytes += batch.nbytes
        if held_bytes >= size:
            yield pa.Table.from_batches(held)
            held, held_bytes = [], 0
    if held:
        yield pa.Table.from_batches(held)
