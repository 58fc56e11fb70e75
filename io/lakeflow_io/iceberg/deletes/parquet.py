"""A delete file as a Parquet file: its footer, and its row groups one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.parquet.footer import footer_range, parse_footer
from lakeflow_io.parquet.sparse import SparseFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.parquet.footer import Footer
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["damaged", "footer_of", "row_groups"]


def footer_of(delete: DeleteFile, data: FetchedRanges) -> Footer:
    """The footer of a file that was fetched whole.

    Raises:
        CorruptFileError, UnsupportedError: it isn't a Parquet file that can be read.
    """
    last = data.view(max(0, delete.size - 8), min(8, delete.size))
    start = footer_range(delete.path, delete.size, last).start
    return parse_footer(delete.path, delete.size, data.view(start, delete.size - start))


def row_groups(
    footer: Footer, data: FetchedRanges, columns: Sequence[str], dictionaries: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Some columns of each row group.

    Args:
        footer: The file's.
        data: All of its bytes.
        columns: Names in the file, of top-level columns.
        dictionaries: Of these, text that repeats itself.

    Raises:
        CorruptFileError: a page doesn't decode.
    """
    source: Any = pa.PythonFile(SparseFile(footer.size, data), mode="r")
    try:
        file = pq.ParquetFile(
            source,
            metadata=footer.metadata,
            pre_buffer=False,
            page_checksum_verification=True,
            read_dictionary=list(dictionaries),
        )
        for index in range(footer.metadata.num_row_groups):
            yield file.read_row_group(index, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise damaged(footer.uri, f"does not decode: {error}") from error


def damaged(path: str, why: str) -> CorruptFileError:
    """A delete file that can't be what it claims to be."""
    return CorruptFileError(
        f"{path}: the delete file {why}", "restore the file, or roll the table back to a snapshot without it."
    )
