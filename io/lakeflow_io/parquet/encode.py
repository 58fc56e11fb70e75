"""Arrow -> a Parquet file in memory, with the settings a table's properties ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["encode"]

# Rows, not bytes: the unit pyarrow's writer understands. 1 Mi is its own upper bound per row group
# and pyiceberg's default (write.parquet.row-group-limit).
_ROW_GROUP_ROWS = 1024 * 1024
_PAGE_BYTES = 1024 * 1024
_CODECS = {"uncompressed": "none", "gzip": "gzip", "snappy": "snappy", "zstd": "zstd", "lz4": "lz4", "brotli": "brotli"}
# Iceberg's default since 1.4 (write.parquet.compression-codec).
_DEFAULT_CODEC = "zstd"


def encode(data: pa.Table, properties: Mapping[str, str]) -> tuple[memoryview, Any]:
    """Encode `data`, whose schema carries field ids, into one file.

    Args:
        data: At least one row.
        properties: The table's properties; `write.parquet.*` are honoured.

    Returns:
        The file's bytes and its `pyarrow.parquet.FileMetaData`.
    """
    sink = pa.BufferOutputStream()
    codec = properties.get("write.parquet.compression-codec", _DEFAULT_CODEC)
    level = properties.get("write.parquet.compression-level")
    with pq.ParquetWriter(
        sink,
        data.schema,
        compression=_CODECS.get(codec, _DEFAULT_CODEC),
        compression_level=int(level) if level else None,
        data_page_size=int(properties.get("write.parquet.page-size-bytes", _PAGE_BYTES)),
        store_schema=False,  # the schema is the table's; a second one in the file could only disagree
        write_page_checksum=True,
        write_page_index=True,
    ) as writer:
        rows = int(properties.get("write.parquet.row-group-limit", _ROW_GROUP_ROWS))
        writer.write_table(data, row_group_size=rows)
    buffer = sink.getvalue()
    return memoryview(buffer), writer.writer.metadata
