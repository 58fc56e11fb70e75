"""Every name of pyiceberg that its documentation doesn't promise, in one place.

They exist in the releases that pyproject.toml admits; `tests/lakeflow_io/test_internals.py` holds
what we rely on. Nothing else in lakeflow imports from `pyiceberg.io.pyarrow`.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.io.pyarrow import (
    UnsupportedPyArrowTypeException,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    expression_to_pyarrow,
    parquet_path_to_id_mapping,
    pyarrow_to_schema,
    schema_to_pyarrow,
)
from pyiceberg.schema import Schema, assign_fresh_schema_ids

from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table import Table
    from pyiceberg.table.name_mapping import NameMapping
    from pyiceberg.typedef import TableVersion

__all__ = [
    "arrow_filter",
    "arrow_schema",
    "check_metrics",
    "data_file_statistics",
    "evolved_schema",
    "file_schema",
    "fresh_schema",
    "keep_own_code",
    "spec_change",
]

# Table properties that say which bounds are kept, and how much of them.
_METRICS = "write.metadata.metrics."


def arrow_schema(schema: Schema, *, field_ids: bool = False) -> pa.Schema:
    """The Arrow schema of an Iceberg schema: 32-bit offsets for strings, bytes and lists."""
    large = schema_to_pyarrow(schema, include_field_ids=field_ids)
    return pa.schema([_with_small_offsets(field) for field in large])


def _with_small_offsets(field: pa.Field) -> pa.Field:
    # pyiceberg asks for 64-bit offsets; files decode to 32-bit ones, and a batch is one row group.
    kind = field.type
    if pa.types.is_large_string(kind):
        return field.with_type(pa.string())
    if pa.types.is_large_binary(kind):
        return field.with_type(pa.binary())
    if pa.types.is_struct(kind):
        return field.with_type(pa.struct([_with_small_offsets(kind.field(i)) for i in range(kind.num_fields)]))
    if pa.types.is_map(kind):
        return field.with_type(pa.map_(_with_small_offsets(kind.key_field), _with_small_offsets(kind.item_field)))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return field.with_type(pa.list_(_with_small_offsets(kind.value_field)))
    return field


def fresh_schema(schema: pa.Schema, format_version: TableVersion) -> Schema:
    """The Iceberg schema of a new table, ids from 1 in the order of the columns."""
    from pyiceberg.catalog import Catalog

    # Catalogs convert an Arrow schema in just this way when they are handed one.
    return assign_fresh_schema_ids(Catalog._convert_schema_if_needed(schema, format_version))  # noqa: SLF001


def keep_own_code(catalog: Catalog, own: Mapping[str, Any]) -> None:
    """Let the caller alone say what code a catalog's files travel through.

    pyiceberg hands what a catalog and its tables answer to the reader of their files, over the caller's
    properties. Some of those name modules that are imported and called.

    Args:
        catalog: One that was just opened.
        own: The properties that the caller opened it with.
    """
    load = catalog._load_file_io  # noqa: SLF001
    catalog.properties = _without_code(catalog.properties) | {n: v for n, v in own.items() if _names_code(n)}
    catalog._load_file_io = lambda properties={}, location=None: load(_without_code(properties), location)  # type: ignore[method-assign]  # noqa: SLF001


def _without_code(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if not _names_code(name)}


def _names_code(name: str) -> bool:
    return name == "py-io-impl" or name.startswith("lakeflow.")


def file_schema(schema: pa.Schema, name_mapping: NameMapping | None, format_version: TableVersion) -> Schema:
    """The Iceberg schema of a data file: ids from the file, else from the table's name mapping.

    Raises:
        ValueError: the file has neither.
        TypeError: a column has a type that tables of this version lack.
    """
    try:
        return pyarrow_to_schema(
            schema, name_mapping=name_mapping, downcast_ns_timestamp_to_us=False, format_version=format_version
        )
    except UnsupportedPyArrowTypeException as error:
        raise TypeError(str(error)) from error


def arrow_filter(bound: BooleanExpression, schema: Schema) -> Any:
    """A bound Iceberg predicate as a `pyarrow.compute.Expression`."""
    return expression_to_pyarrow(bound, schema)


def check_metrics(schema: Schema, properties: dict[str, str]) -> dict[int, Any]:
    """Which statistics a table's properties ask for, by field id.

    Raises:
        ConfigError: a property says nothing that can be.
    """
    try:
        return compute_statistics_plan(schema, properties)
    except ValueError as error:
        given = {name: value for name, value in properties.items() if name.startswith(_METRICS)}
        raise ConfigError(
            f"The table's properties {given} do not say which statistics are kept: {error}.",
            "each is none, counts, truncate(length) or full.",
        ) from error


def data_file_statistics(
    metadata: Any, schema: Schema, properties: dict[str, str], columns: dict[str, int] | None = None
) -> dict[str, Any]:
    """Column sizes, counts, bounds and split offsets of a written file, as arguments for a DataFile.

    Args:
        metadata: Its `pyarrow.parquet.FileMetaData`.
        schema: The table's.
        properties: The table's, which may say what is kept of which column.
        columns: Field ids by the file's own paths; default those that our writer makes of `schema`.
    """
    paths = parquet_path_to_id_mapping(schema) if columns is None else columns

    def collected(properties: dict[str, str]) -> dict[str, Any]:
        plan = check_metrics(schema, properties)
        found = data_file_statistics_from_parquet_metadata(metadata, stats_columns=plan, parquet_column_mapping=paths)
        serialized: dict[str, Any] = found.to_serialized_dict()
        return serialized

    try:
        return collected(properties)
    except UnicodeEncodeError:
        # The character after U+D7FF, to which pyiceberg raises a bound that it cuts, is none: bounds stay whole.
        kept = {name: value for name, value in properties.items() if not name.startswith(_METRICS)}
        return collected({**kept, f"{_METRICS}default": "full"})


def evolved_schema(
    table: Table, schema: Schema, last_column_id: int, step: Callable[[Any], object]
) -> tuple[Schema, int]:
    """What a step makes of a schema that its table needn't have yet.

    Args:
        table: The table.
        schema: What steps before have made of the table's.
        last_column_id: The greatest id that a column of the table or of these steps has ever had.
        step: Is handed an `UpdateSchema`.

    Returns:
        The new schema, and the greatest id by then.
    """
    from pyiceberg.table.update.schema import UpdateSchema

    update = UpdateSchema(table.transaction(), schema=schema)
    update._last_column_id = count(last_column_id + 1)  # noqa: SLF001  (it would use those of dropped columns again)
    step(update)
    made = update._apply()  # noqa: SLF001
    return made, max(last_column_id, made.highest_field_id)


def spec_change(
    table: Table, steps: Sequence[Callable[[Any], object]]
) -> tuple[PartitionSpec, tuple[Any, ...], tuple[Any, ...]]:
    """What changes a table's partitioning by `steps`, each of which is handed an `UpdateSpec`.

    Returns:
        The new spec, updates and requirements.
    """
    from pyiceberg.table.update.spec import UpdateSpec

    update = UpdateSpec(table.transaction())
    for step in steps:
        step(update)
    return update._apply(), *update._commit()  # noqa: SLF001
