"""Arrow -> a Parquet file, with the settings a table's properties ask for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import ConfigError
from lakeflow_io.parquet.nans import NanCounter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Encoder", "encode", "group_bytes"]

# 1 Mi rows is pyarrow's own upper bound per row group and pyiceberg's default (write.parquet.row-group-limit).
_GROUP_ROWS = 1024 * 1024
# Of Arrow memory. Encoded it is some 16 to 32 MiB: a few of the units that a reader fetches at one time, and
# small enough that one can be split between workers and pruned. write.parquet.row-group-size-bytes changes it.
_GROUP_BYTES = 64 * 1024 * 1024
_PAGE_BYTES = 1024 * 1024
_CODECS = {"uncompressed": "none", "gzip": "gzip", "snappy": "snappy", "zstd": "zstd", "lz4": "lz4", "brotli": "brotli"}
# pyarrow's own defaults are 20,000 rows, as Iceberg's, and 1 MiB.
_LIMITS = {
    "write.parquet.page-row-limit": "max_rows_per_page",
    "write.parquet.dict-size-bytes": "dictionary_pagesize_limit",
}
# Iceberg's default since 1.4 (write.parquet.compression-codec).
_DEFAULT_CODEC = "zstd"
# Of a column, by its path. Files without it go without the filter.
_BLOOM, _BLOOM_PYARROW = "write.parquet.bloom-filter-", 26  # which writes them
# Iceberg's defaults.
_DEFAULT_FPP, _MOST_BLOOM_BYTES = 0.01, 1024 * 1024


class Encoder:
    """One Parquet file that is written a few row groups at a time.

    Args:
        schema: Carries field ids.
        properties: The table's properties; `write.parquet.*` are honoured.
        file: A binary file to write into, page by page; it stays open. What it raises is raised.

    Raises:
        ConfigError: a property has a value that Parquet doesn't know.
    """

    def __init__(self, schema: pa.Schema, properties: Mapping[str, str], file: Any) -> None:
        options, self._group_rows, self._group_bytes = _options(properties)
        self.rows = 0
        self.nans = NanCounter(schema)
        self._writer = pq.ParquetWriter(
            file,
            schema,
            **options,
            store_schema=False,  # the schema is the table's; a second one in the file could only disagree
            write_page_checksum=True,
            write_page_index=True,
        )

    def write(self, data: pa.Table) -> None:
        """Write rows as row groups of their own, all of about one size."""
        groups = max(round(data.nbytes / self._group_bytes), math.ceil(data.num_rows / self._group_rows), 1)
        try:
            self._writer.write_table(data, row_group_size=max(1, math.ceil(data.num_rows / groups)))
        except BaseException:
            self.abandon()
            raise
        self.nans.add(data)
        self.rows += data.num_rows

    def close(self) -> Any:
        """Write the footer; returns the file's `pyarrow.parquet.FileMetaData`."""
        try:
            self._writer.close()
        except BaseException:
            self.abandon()
            raise
        return self._writer.writer.metadata

    def abandon(self) -> None:
        """Write nothing more: else it is closed when it is forgotten, with an error that nobody catches."""
        self._writer.is_open = False


def encode(data: pa.Table, properties: Mapping[str, str], file: Any) -> Any:
    """Encode `data`, whose schema carries field ids, into one file.

    Args:
        data: At least one row.
        properties: As `Encoder` takes them.
        file: As `Encoder` takes it.

    Returns:
        The file's `pyarrow.parquet.FileMetaData`.

    Raises:
        ConfigError: a property has a value that Parquet doesn't know.
    """
    encoder = Encoder(data.schema, properties, file)
    encoder.write(data)
    return encoder.close()


def group_bytes(properties: Mapping[str, str]) -> int:
    """Arrow bytes that make one row group."""
    return _options(properties)[2]


def _options(properties: Mapping[str, str]) -> tuple[dict[str, Any], int, int]:
    """Arguments for the writer, rows and Arrow bytes a row group."""
    codec = properties.get("write.parquet.compression-codec", _DEFAULT_CODEC).lower()
    level = properties.get("write.parquet.compression-level")
    try:
        options: dict[str, Any] = {
            "compression": _CODECS[codec],
            "compression_level": int(level) if level and level != "null" else None,
            "data_page_size": int(properties.get("write.parquet.page-size-bytes", _PAGE_BYTES)),
            **{name: int(properties[of]) for of, name in _LIMITS.items() if of in properties},
        }
        if options["compression_level"] is not None:
            pa.Codec(_CODECS[codec], compression_level=options["compression_level"])  # knows which take a level
        filters = _bloom_filters(properties)
        if filters:
            options["bloom_filter_options"] = filters
        group_rows = int(properties.get("write.parquet.row-group-limit", _GROUP_ROWS))
        size = int(properties.get("write.parquet.row-group-size-bytes", _GROUP_BYTES))
        if group_rows < 1 or size < 1:
            raise ValueError(f"a row group of {group_rows} rows and {size} bytes")  # noqa: TRY301
        return options, group_rows, size  # noqa: TRY300
    except (KeyError, ValueError) as error:
        given = {name: value for name, value in properties.items() if name.startswith("write.parquet.")}
        raise ConfigError(
            f"The table's properties {given} do not describe Parquet files: {error}.",
            "the codec is one of " + ", ".join(_CODECS) + "; levels and sizes are whole numbers.",
        ) from error


def _bloom_filters(properties: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """For which columns there are to be Bloom filters, how often these may be wrong, and for how many values."""
    enabled = f"{_BLOOM}enabled.column."
    asked = [
        name.removeprefix(enabled)
        for name, value in properties.items()
        if name.startswith(enabled) and value.lower() == "true"
    ]
    if asked and int(pa.__version__.partition(".")[0]) < _BLOOM_PYARROW:
        raise ValueError(f"Bloom filters need pyarrow {_BLOOM_PYARROW}, this is {pa.__version__}")
    most_bytes = int(properties.get(f"{_BLOOM}max-bytes", _MOST_BLOOM_BYTES))
    filters = {}
    for column in asked:
        chance = float(properties.get(f"{_BLOOM}fpp.column.{column}", _DEFAULT_FPP))
        if not 0 < chance < 1 or most_bytes < 1:
            raise ValueError(
                f"a Bloom filter of {most_bytes} bytes that is wrong with a chance of {chance}, "
                "which has to lie between 0 and 1"
            )
        # Sizes are powers of two. The formula is that of split block filters, which pyarrow uses, too:
        # https://github.com/apache/parquet-format/blob/master/BloomFilter.md
        most_bits = 8 * 2 ** int(math.log2(most_bytes))
        most_values = max(1, int(-most_bits * math.log1p(-(chance ** (1 / 8))) / 8))
        told = properties.get(f"{_BLOOM}ndv.column.{column}")
        filters[column] = {"fpp": chance, "ndv": most_values if told is None else min(int(told), most_values)}
    return filters
