"""What is in a delete file, whatever its format: its columns, and its rows a part at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.formats import format_of
from lakeflow_io.parquet.footer import footer_range, parse_footer
from lakeflow_io.parquet.layout import file_layout
from lakeflow_io.parquet.ranges import ByteRange
from lakeflow_io.parquet.sparse import SparseFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lakeflow_io.formats import Contents
    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.parquet.footer import Footer
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["DeleteContents", "contents_of", "damaged"]


@dataclass(frozen=True, slots=True)
class DeleteContents:
    """An opened delete file."""

    schema: pa.Schema
    """Its columns, with field ids as in the metadata of Parquet's."""
    tables: Callable[[Sequence[str], Sequence[str]], Iterator[pa.Table]]
    """Some columns, of each row group one table; of these, text that repeats itself. It raises `CorruptFileError`."""


def contents_of(delete: DeleteFile, data: FetchedRanges) -> DeleteContents:
    """Open a file that was fetched whole.

    Raises:
        CorruptFileError, UnsupportedError: it isn't a file of its format that can be read.
    """
    if delete.format == "PARQUET":
        footer = _footer_of(delete, data)
        return DeleteContents(
            file_layout(footer).schema, lambda columns, texts: _row_groups(footer, data, columns, texts)
        )
    opened = format_of(delete.format).open(delete.path, delete.size, data)
    if isinstance(opened, ByteRange):  # all of it is there
        raise damaged(delete.path, f"claims bytes {opened.start}-{opened.end} of {delete.size}.")
    return DeleteContents(opened.schema, lambda columns, _: _groups(opened, data, columns))


def _footer_of(delete: DeleteFile, data: FetchedRanges) -> Footer:
    last = data.view(max(0, delete.size - 8), min(8, delete.size))
    start = footer_range(delete.path, delete.size, last).start
    return parse_footer(delete.path, delete.size, data.view(start, delete.size - start))


def _row_groups(
    footer: Footer, data: FetchedRanges, columns: Sequence[str], dictionaries: Sequence[str]
) -> Iterator[pa.Table]:
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


def _groups(opened: Contents, data: FetchedRanges, columns: Sequence[str]) -> Iterator[pa.Table]:
    for index, (rows, _) in enumerate(opened.groups):
        found = opened.decode(index, columns, data)
        for name, column in found.items():
            if len(column) != rows:
                raise damaged(opened.uri, f"has {len(column)} values of column {name!r} in {rows} rows.")
        yield pa.table([found[name] for name in columns], names=list(columns))


def damaged(path: str, why: str) -> CorruptFileError:
    """A delete file that can't be what it claims to be."""
    return CorruptFileError(
        f"{path}: the delete file {why}", "restore the file, or roll the table back to a snapshot without it."
    )
