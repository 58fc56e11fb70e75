"""One row group's bytes -> Arrow, with pyarrow's decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.parquet.sparse import SparseFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.parquet.footer import Footer
    from lakeflow_io.parquet.ranges import ByteRange

__all__ = ["decode_row_group", "leaf_indices"]


def leaf_indices(metadata: Any, columns: Sequence[str]) -> list[int]:
    """Positions of the leaf columns beneath the top-level `columns`."""
    wanted = set(columns)
    schema = metadata.schema
    # A dot in a column's own name is why the path is not split: compare prefixes instead.
    return [
        leaf
        for leaf in range(len(schema))
        if (path := schema.column(leaf).path) in wanted or any(path.startswith(name + ".") for name in wanted)
    ]


def decode_row_group(
    footer: Footer, index: int, columns: Sequence[str], parts: list[tuple[ByteRange, memoryview]], size: int
) -> pa.Table:
    """Decode top-level `columns` of row group `index` from the ranges in `parts`.

    Raises:
        CorruptFileError: a page doesn't decode; names the file and the row group.
    """
    if not columns:
        return pa.table({}).select([]) if footer.metadata.num_rows == 0 else _rows_only(footer, index)
    source = pa.PythonFile(SparseFile(footer.uri, size, parts), mode="r")
    try:
        file = pq.ParquetFile(source, metadata=footer.metadata, pre_buffer=False, page_checksum_verification=True)
        return file.read_row_group(index, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CorruptFileError(
            f"{footer.uri}: row group {index} does not decode: {error}",
            "the file is damaged; restore it or roll the table back to a snapshot without it.",
        ) from error


def _rows_only(footer: Footer, index: int) -> pa.Table:
    # No column at all still has a row count, which a scan of constants or a count needs.
    rows = footer.metadata.row_group(index).num_rows
    return pa.table({"_": pa.nulls(rows)}).select([])
