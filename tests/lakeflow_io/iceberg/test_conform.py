"""Data fits a table, value for value, or one error lists everything that doesn't."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import SchemaError
from lakeflow_io.iceberg.conform import conform

TYPES = [
    pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(),
    pa.large_string(), pa.binary(), pa.date32(), pa.timestamp("us"), pa.timestamp("ns"), pa.decimal128(10, 2),
    pa.list_(pa.int64()), pa.null(), pa.dictionary(pa.int32(), pa.string()), pa.string_view(),
]  # fmt: skip
VALUES = {
    "integer": st.integers(-(2**31), 2**31 - 1),
    "float": st.floats(allow_nan=False, width=32),
    "text": st.text(max_size=5),
}


def array(kind: pa.DataType, values: list[Any]) -> pa.Array | None:
    """An array of a type, if its values allow."""
    try:
        return pa.array(values).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.sampled_from(list(VALUES)), st.data())
def test_a_cast_keeps_every_value_or_is_refused(
    had: pa.DataType, wanted: pa.DataType, kind: str, data: st.DataObject
) -> None:
    """Whatever is handed over fits without loss, or the error names the column; nothing else is raised."""
    column = array(had, data.draw(st.lists(st.none() | VALUES[kind], max_size=5)))
    if column is None:
        return

    try:
        found = conform(pa.table({"x": column}), pa.schema([("x", wanted)]), "ns.t")
    except SchemaError as error:
        named = "'x'" in error.message
        assert named
        return

    assert found.schema == pa.schema([("x", wanted)])
    assert column.null_count == found["x"].null_count
    if pa.types.is_integer(had) and pa.types.is_integer(wanted):
        assert column.to_pylist() == found["x"].to_pylist()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1.5], pa.int64()),
        ([2**40], pa.int32()),
        (["a"], pa.int64()),
        ([[1]], pa.int64()),
        (pa.array([2**63], pa.uint64()), pa.int64()),
        ([b"\xff"], pa.string()),
    ],
)
def test_a_cast_that_would_lose_something_is_refused(values: list[Any], wanted: pa.DataType) -> None:
    """Fractions, large numbers and text that is no number are not squeezed in."""
    with pytest.raises(SchemaError, match="column 'x' is"):
        conform(pa.table({"x": pa.array(values)}), pa.schema([("x", wanted)]), "ns.t")


def test_columns_are_ordered_and_optional_ones_filled() -> None:
    """Columns come by name in the table's order; a nullable one that is missing is null."""
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.float64())])

    found = conform(pa.table({"c": [1.0], "a": pa.array([1], pa.int8())}), schema, "ns.t")

    assert found.to_pylist() == [{"a": 1, "b": None, "c": 1.0}]
    assert schema == found.schema


def test_an_error_lists_every_problem() -> None:
    """Unknown, missing, mistyped, doubled and null columns are all in one message."""
    schema = pa.schema(
        [
            pa.field("missing", pa.int64(), nullable=False),
            ("typed", pa.int64()),
            pa.field("null", pa.int64(), nullable=False),
            ("twice", pa.int64()),
        ]
    )
    columns = [pa.array(["x"]), pa.array([None], pa.int64()), pa.array([1]), pa.array([1]), pa.array([1])]

    with pytest.raises(SchemaError) as caught:
        conform(pa.table(columns, ["typed", "null", "twice", "twice", "unknown"]), schema, "kg.titles")

    message = caught.value.message
    assert "kg.titles" in message
    for said in (
        "missing column 'missing'", "column 'typed' is string", "column 'null' has 1 nulls",
        "column 'twice' appears more than once", "unknown column 'unknown'",
    ):  # fmt: skip
        assert said in message
    assert "typed: int64" in str(caught.value.hint)


def test_no_rows_fit_too() -> None:
    """A table without rows takes the schema's types."""
    found = conform(pa.table({"a": pa.array([], pa.null())}), pa.schema([("a", pa.int64())]), "ns.t")

    assert (0, pa.int64()) == (found.num_rows, found.schema.field("a").type)
