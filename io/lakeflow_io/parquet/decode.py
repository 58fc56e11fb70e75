"""One row group's bytes -> Arrow: flat columns by the compiled decoder, all others by pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.parquet.layout import INT96_UNIT
from lakeflow_io.parquet.native.column import decode_chunks
from lakeflow_io.parquet.sparse import SparseFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakeflow_io.parquet.footer import Footer
    from lakeflow_io.parquet.layout import FileLayout
    from lakeflow_io.parquet.ranges import ColumnChunk, FetchedRanges

__all__ = ["decode_columns"]


def decode_columns(
    footer: Footer,
    layout: FileLayout,
    group: int,
    columns: Sequence[str],
    chunks: Mapping[int, ColumnChunk],
    rows: int,
    fetched: FetchedRanges,
) -> dict[str, pa.ChunkedArray]:
    """Decode top-level `columns` of one row group.

    Args:
        footer: The file's.
        layout: The file's columns.
        group: The row group's index.
        columns: Names in the file.
        chunks: Where its columns are, by leaf.
        rows: In the row group.
        fetched: Their bytes.

    Returns:
        By name; each as many rows as the row group has.

    Raises:
        CorruptFileError: a page doesn't decode; names the file and the row group.
    """
    flat = [name for name in columns if name in layout.flat]
    jobs = []
    for name in flat:
        chunk = chunks[layout.leaves[name][0]]
        jobs.append((layout.flat[name], chunk, fetched.view(chunk.start, chunk.length)))
    arrays = zip(flat, decode_chunks(jobs, rows), strict=True)
    found = {name: pa.chunked_array([array]) for name, array in arrays if array is not None}
    rest = [name for name in columns if name not in found]
    if rest:
        table = _with_pyarrow(footer, group, rest, fetched)
        found.update(zip(table.column_names, table.columns, strict=True))
    return found


def _with_pyarrow(footer: Footer, group: int, columns: list[str], fetched: FetchedRanges) -> pa.Table:
    source = pa.PythonFile(SparseFile(footer.size, fetched), mode="r")
    try:
        file = pq.ParquetFile(
            source,
            metadata=footer.metadata,
            pre_buffer=False,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit=INT96_UNIT,
        )
        return file.read_row_group(group, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CorruptFileError(
            f"{footer.uri}: row group {group} does not decode: {error}",
            "the file is damaged; restore it or roll the table back to a snapshot without it.",
        ) from error
