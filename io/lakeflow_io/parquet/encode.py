"""Arrow -> a Parquet file, with the settings a table's properties ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import ConfigError

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


def encode(data: pa.Table, properties: Mapping[str, str], file: Any) -> Any:
    """Encode `data`, whose schema carries field ids, into one file.

    Args:
        data: At least one row.
        properties: The table's properties; `write.parquet.*` are honoured.
        file: A binary file to write into, page by page; it stays open. What it raises is raised.

    Returns:
        The file's `pyarrow.parquet.FileMetaData`.

    Raises:
        ConfigError: a property has a value that Parquet doesn't know.
    """
    options, group_rows = _options(properties)
    writer = pq.ParquetWriter(
        file,
        data.schema,
        **options,
        store_schema=False,  # the schema is the table's; a second one in the file could only disagree
        write_page_checksum=True,
        write_page_index=True,
    )
    try:
        writer.write_table(data, row_group_size=group_rows)
        writer.close()
    except BaseException:
        writer.is_open = False  # else it is closed when it is forgotten, with an error that nobody catches
        raise
    return writer.writer.metadata


def _options(properties: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """Arguments for the writer, and rows a row group."""
    codec = properties.get("write.parquet.compression-codec", _DEFAULT_CODEC).lower()
    level = properties.get("write.parquet.compression-level")
    try:
        options = {
            "compression": _CODECS[codec],
            "compression_level": int(level) if level and level != "null" else None,
            "data_page_size": int(properties.get("write.parquet.page-size-bytes", _PAGE_BYTES)),
        }
        if options["compression_level"] is not None:
            pa.Codec(_CODECS[codec], compression_level=options["compression_level"])  # knows which take a level
        group_rows = int(properties.get("write.parquet.row-group-limit", _ROW_GROUP_ROWS))
        if group_rows < 1:
            raise ValueError(f"a row group of {group_rows} rows")  # noqa: TRY301
        return options, group_rows  # noqa: TRY300
    except (KeyError, ValueError) as error:
        given = {name: value for name, value in properties.items() if name.startswith("write.parquet.")}
        raise ConfigError(
            f"The table's properties {given} do not describe Parquet files: {error}.",
            "the codec is one of " + ", ".join(_CODECS) + "; levels and sizes are whole numbers.",
        ) from error
