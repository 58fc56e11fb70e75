"""What we rely on beneath pyiceberg's documentation; a release that changes it turns this red."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pyiceberg
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo
from pyiceberg.expressions.visitors import bind
from pyiceberg.io import pyarrow as private
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Transaction
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.table.update.spec import UpdateSpec
from pyiceberg.types import DoubleType, LongType, NestedField, StringType

from lakeflow_io.iceberg import internals

if TYPE_CHECKING:
    import lakeflow as lf

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True), NestedField(2, "name", StringType()),
    NestedField(3, "x", DoubleType())
)  # fmt: skip


def test_the_release_is_one_that_was_checked() -> None:
    """The ceiling in pyproject.toml and this suite speak of the same releases."""
    assert pyiceberg.__version__.startswith("0.12.")


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (private.data_file_statistics_from_parquet_metadata,
         {"parquet_metadata", "stats_columns", "parquet_column_mapping"}),
        (private.compute_statistics_plan, {"schema", "table_properties"}),
        (private.pyarrow_to_schema, {"name_mapping", "downcast_ns_timestamp_to_us", "format_version"}),
        (private.schema_to_pyarrow, {"include_field_ids"}),
        (private.expression_to_pyarrow, {"expr", "schema"}),
        (Catalog._convert_schema_if_needed, {"format_version"}),
        (Transaction._stage, {"updates", "requirements"}),
        (UpdateSchema, {"transaction", "schema"}),
        (UpdateSpec, {"transaction"}),
    ],
)  # fmt: skip
def test_private_functions_take_what_we_pass(function: object, parameters: set[str]) -> None:
    """Each private name is there and has the parameters that internals.py uses."""
    assert parameters <= set(inspect.signature(function).parameters)


def test_a_schema_has_small_offsets_and_ids() -> None:
    """Strings come as 32-bit strings, nested or not; field ids are there on demand."""
    plain = internals.arrow_schema(SCHEMA)
    with_ids = internals.arrow_schema(SCHEMA, field_ids=True)

    assert [pa.int64(), pa.string(), pa.float64()] == plain.types
    assert [field.metadata[b"PARQUET:field_id"] for field in with_ids] == [b"1", b"2", b"3"]
    assert [field.nullable for field in plain] == [False, True, True]


def test_nested_types_have_small_offsets() -> None:
    """No 64-bit offset hides inside a struct, list or map."""
    kind = pa.struct([("l", pa.list_(pa.string())), ("m", pa.map_(pa.string(), pa.binary()))])
    fresh = internals.fresh_schema(pa.schema([("s", kind)]), 2)

    assert "large" not in str(internals.arrow_schema(fresh))


def test_fresh_ids_count_from_one() -> None:
    """A new table's columns have ids in their order, nested ones behind."""
    schema = internals.fresh_schema(pa.schema([("a", pa.int64()), ("b", pa.struct([("c", pa.int64())]))]), 2)

    assert {schema.find_column_name(each): each for each in schema.field_ids} == {"a": 1, "b": 2, "b.c": 3}


def test_a_files_columns_have_the_ids_it_was_written_with() -> None:
    """Ids travel in the file; a file without them and without a mapping is a ValueError."""
    schema = internals.arrow_schema(SCHEMA, field_ids=True)

    assert [field.field_id for field in internals.file_schema(schema, None, 2).fields] == [1, 2, 3]
    with pytest.raises(ValueError, match="field"):
        internals.file_schema(pa.schema([("a", pa.int64())]), None, 2)


def test_a_predicate_filters_arrow() -> None:
    """A bound predicate becomes an expression that pyarrow applies."""
    expression = internals.arrow_filter(bind(SCHEMA, EqualTo("name", "a"), case_sensitive=True), SCHEMA)

    found = pa.table({"id": [1, 2], "name": ["a", "b"], "x": [0.0, 0.0]}).filter(expression)

    assert found["id"].to_pylist() == [1]


def test_statistics_come_as_arguments_of_a_data_file() -> None:
    """Every key that a staged file's description holds is there, and DataFile takes it."""
    sink = pa.BufferOutputStream()
    data = pa.table(
        {"id": [3, 1], "name": ["b", None], "x": [1.0, 2.0]}, schema=internals.arrow_schema(SCHEMA, field_ids=True)
    )
    with pq.ParquetWriter(sink, data.schema) as writer:
        writer.write_table(data)

    found = internals.data_file_statistics(writer.writer.metadata, SCHEMA, {})

    assert {
        "column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds",
        "split_offsets",
    } <= set(found)  # fmt: skip
    assert found["value_counts"] == {1: 2, 2: 2, 3: 2}
    assert (1).to_bytes(8, "little") == found["lower_bounds"][1]
    assert "_table_format_version" in inspect.signature(DataFile.from_args).parameters


def test_a_text_before_the_surrogates_has_bounds(embedded: lf.Lake) -> None:
    """Pyiceberg would raise the last character of a bound that it cuts to one that is none."""
    table = embedded.create_table("kg.texts", pa.schema([("s", pa.string())]))
    table.append({"s": ["\ud7ff" * 20, "a"]})

    assert len(table.scan(where="s > 'b'").read()) == 1
    assert len(table.scan(where="s < 'b'").read()) == 1
