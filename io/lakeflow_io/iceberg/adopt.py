"""Parquet files that are there -> a table's data files, as they are.

Such files carry no field ids, so the table gets a name mapping; and what other engines would read
otherwise than lakeflow does is refused, for then the table would be two tables.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from lakeflow_io.errors import SchemaError, UnsupportedError
from lakeflow_io.folder.hive import HiveTypes, partitions
from lakeflow_io.folder.listing import list_files
from lakeflow_io.folder.paths import take_apart
from lakeflow_io.folder.schema import columns_of
from lakeflow_io.folder.types import canonical, promotes
from lakeflow_io.iceberg.expected import leaf_ids
from lakeflow_io.iceberg.internals import arrow_schema, data_file_statistics, file_schema
from lakeflow_io.iceberg.mapping import NAME_MAPPING
from lakeflow_io.parquet.footer import Footer, read_footer
from lakeflow_io.parquet.layout import file_layout
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from pyiceberg.table import Table
    from pyiceberg.types import PrimitiveType

__all__ = ["Adoption", "adopted_files", "name_mapping", "take_in"]

_FOOTER_THREADS = 16  # each waits for a request or two
_FIELD_ID = b"PARQUET:field_id"
_REWRITE = "rewrite the file, or read the folder with scan_parquet."
# Columns whose statistics don't become bounds get counts alone.
_COUNTS_ONLY = {"write.metadata.metrics.default": "counts"}


@dataclass(frozen=True, slots=True)
class Adoption:
    """Files that can become a table."""

    schema: pa.Schema
    """The columns of all files, in the widest types; then those of the paths."""
    partition_by: list[str]
    """Columns of the paths."""
    footers: list[Footer] = field(repr=False)
    values: pa.Table = field(repr=False)
    """What the paths say, one row a footer."""


def take_in(paths: Iterable[str | os.PathLike[str]], store: dict[str, str], hive: HiveTypes) -> Adoption:
    """Read the footers of all files, and find out whether they make a table.

    Args:
        paths: Files, folders, globs.
        store: Storage properties.
        hive: Which `key=value` folders are partition columns, as for `scan_parquet`.

    Raises:
        NotFoundError: there is no file.
        UnsupportedError: a file has field ids of its own, or a type that a table lacks; names it.
        SchemaError: files don't fit together, or with their paths.
        CorruptFileError: one is no Parquet file.
    """
    transport = open_transport(store)
    files = list_files(transport, [take_apart(path) for path in paths])
    values = partitions(files, hive)
    with ThreadPoolExecutor(_FOOTER_THREADS, "lakeflow-footers") as threads:
        footers = list(threads.map(lambda file: read_footer(transport, file.uri, file.size), files))
    columns = columns_of(footers, None, values.schema)
    for refused in columns.unreadable.values():
        raise refused
    schema = arrow_schema(columns.schema)
    for row, footer in enumerate(footers):
        _refuse_unmappable(footer, schema)
        for name in values.column_names:
            _refuse_other_value(footer, name, values[name][row].as_py())
    return Adoption(schema, values.column_names, footers, values)


def _refuse_unmappable(footer: Footer, schema: pa.Schema) -> None:
    found = file_layout(footer).schema
    for column in found:
        if any(_FIELD_ID in (each.metadata or {}) for each in _nested(column)):
            raise UnsupportedError(
                f"{footer.uri} has field ids of its own, which would not be those of the new table.", _REWRITE
            )
        strange = next((each.type for each in _nested(column) if not _is_plain(each.type)), None)
        if strange is not None:
            raise UnsupportedError(
                f"The column {column.name!r} of {footer.uri} has the type {strange}, which Iceberg's data files lack.",
                _REWRITE,
            )
        wanted, where = schema.field(column.name).type, f"column {column.name!r} of {footer.uri}"
        if not promotes(canonical(column.type, where), canonical(wanted, where)):
            raise SchemaError(f"The {where} is {column.type}, which does not become {wanted}.", _REWRITE)


def _nested(column: pa.Field) -> Iterator[pa.Field]:
    """A field, and all beneath it."""
    yield column
    kind = column.type
    if pa.types.is_nested(kind):
        for number in range(kind.num_fields):
            yield from _nested(kind.field(number))


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether Iceberg's rules for Parquet have this type, so that all engines read it alike."""
    is_ = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return isinstance(kind, pa.UuidType)
    if is_.is_dictionary(kind):
        return _is_plain(kind.value_type)
    if is_.is_timestamp(kind):
        return kind.unit in ("ms", "us") and kind.tz in (None, "UTC", "+00:00", "Etc/UTC")
    if is_.is_time(kind):
        return kind == pa.time64("us")
    if is_.is_decimal(kind):
        return is_.is_decimal128(kind)
    numbers = is_.is_signed_integer(kind) or is_.is_float32(kind) or is_.is_float64(kind) or is_.is_date32(kind)
    texts = is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind)
    raw = is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_binary_view(kind)
    return numbers or texts or raw or is_.is_boolean(kind) or is_.is_fixed_size_binary(kind) or is_.is_nested(kind)


def _refuse_other_value(footer: Footer, name: str, value: Any) -> None:
    """A column that is both on the path and in the file is read from the file: they must agree."""
    found = file_layout(footer)
    if name not in found.schema.names:
        return
    [leaf] = found.leaves[name] if len(found.leaves[name]) == 1 else [None]
    for number in range(footer.metadata.num_row_groups):
        chunk = None if leaf is None else footer.metadata.row_group(number).column(leaf)
        if chunk is None or not _holds_only(chunk, value):
            raise SchemaError(
                f"The column {name!r} is on the path of {footer.uri}, which says {value!r}, and in the file, "
                "whose statistics don't say that all rows have this value.",
                "rewrite the file without the column, or pass hive=False if the path means nothing.",
            )


def _holds_only(chunk: Any, value: Any) -> bool:
    statistics = chunk.statistics
    if statistics is None or not statistics.has_null_count:
        return False
    if value is None:
        return bool(statistics.null_count == chunk.num_values)
    known = not statistics.null_count and statistics.has_min_max
    return bool(known and statistics.min == value == statistics.max)


def name_mapping(table: Table) -> dict[str, str]:
    """The property that lets readers match files without field ids with the columns of a new table."""
    from pyiceberg.table.name_mapping import create_mapping_from_schema

    return {NAME_MAPPING: create_mapping_from_schema(table.schema()).model_dump_json()}


def adopted_files(table: Table, adoption: Adoption) -> list[dict[str, Any]]:
    """The files as a `Change` takes them, with statistics from their footers; those without rows are left out.

    Args:
        table: Made of `adoption.schema`, with its name mapping.
        adoption: What is adopted.
    """
    return [
        _described(table, footer, {name: adoption.values[name][row].as_py() for name in adoption.partition_by})
        for row, footer in enumerate(adoption.footers)
        if footer.metadata.num_rows
    ]


def _described(table: Table, footer: Footer, values: Mapping[str, Any]) -> dict[str, Any]:
    statistics = _statistics(table, footer)
    bounds = {
        name: {str(key): base64.b64encode(bound).decode() for key, bound in statistics[name].items()}
        for name in ("lower_bounds", "upper_bounds")
    }
    counts = {
        name: {str(key): count for key, count in statistics[name].items()}
        for name in ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts")
    }
    return {
        "path": footer.uri,
        "rows": footer.metadata.num_rows,
        "bytes": footer.size,
        "partition": [_binary(table, part, values[part.name]) for part in table.spec().fields],
        "spec_id": table.spec().spec_id,
        "sort_order_id": None,
        "split_offsets": statistics["split_offsets"],
        **counts,
        **bounds,
    }


def _statistics(table: Table, footer: Footer) -> dict[str, Any]:
    schema, version = table.schema(), table.metadata.format_version
    mapped = file_schema(file_layout(footer).schema, table.metadata.name_mapping(), version)
    parquet = footer.metadata.schema
    paths = {parquet.column(at).path: field_id for at, field_id in enumerate(leaf_ids(mapped.fields))}
    try:
        return data_file_statistics(footer.metadata, schema, dict(table.properties), paths)
    except (ValueError, TypeError, AttributeError, OverflowError):
        # A physical type or a bound that isn't the table's: the file is pruned by its partition alone.
        return data_file_statistics(footer.metadata, schema, _COUNTS_ONLY, paths)


def _binary(table: Table, part: Any, value: Any) -> str | None:
    from pyiceberg.conversions import to_bytes
    from pyiceberg.partitioning import partition_record_value

    if value is None:
        return None
    kind = cast("PrimitiveType", table.schema().find_field(part.source_id).field_type)
    return base64.b64encode(to_bytes(kind, partition_record_value(part, value, table.schema()))).decode()
