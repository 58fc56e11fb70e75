"""Files written under an older schema are pruned by what their columns are now."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg import expressions as ex
from pyiceberg import types
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, LongType, NestedField, StructType

from lakeflow_io.iceberg.internals import arrow_schema, fresh_schema
from lakeflow_io.iceberg.plan import ReadSpec
from lakeflow_io.iceberg.row_groups import RowGroupFilter
from lakeflow_io.iceberg.verdict import Match

COMPARISONS = [ex.EqualTo, ex.NotEqualTo, ex.LessThan, ex.LessThanOrEqual, ex.GreaterThan, ex.GreaterThanOrEqual]
COMPARISON = st.sampled_from(COMPARISONS)
FILES = settings(max_examples=80, deadline=None)


def optional(field_id: int, name: str, kind: Any, default: Any = None) -> NestedField:
    """A field that may be null."""
    return NestedField(field_id, name, kind, required=False, initial_default=default)


PROMOTIONS: dict[str, tuple[Any, Any, pa.DataType, list[Any]]] = {
    "int": (IntegerType(), LongType(), pa.int32(), [-(2**31), -1, 0, 2**31 - 1, 2**31, -(2**40)]),
    "float": (types.FloatType(), types.DoubleType(), pa.float32(), [-0.0, 0.5, 0.1, 1e300, float("nan")]),
    "decimal": (
        types.DecimalType(9, 3), types.DecimalType(38, 3), pa.decimal128(9, 3),
        [Decimal("-999999.999"), Decimal("0.000"), Decimal("1.500"), Decimal("1e20").quantize(Decimal("1.000"))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(PROMOTIONS))
@FILES
@given(data=st.data(), compare=COMPARISON, rows=st.integers(1, 3))
def test_promoted_columns(
    write_file: Any, check_pruning: Any, data: st.DataObject, compare: Any, rows: int, name: str
) -> None:
    """A file written before int became long, float double or a decimal wider is compared in the new type."""
    old, new, arrow, pool = PROMOTIONS[name]
    fitting = [each for each in pool if abs(each) < 2**31 or each == -(2**31)] + [None, pool[2]]
    values = data.draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=6))
    value = data.draw(st.sampled_from(pool).filter(lambda each: each == each))  # noqa: PLR0124  (no literal is NaN)
    table = pa.table({"x": pa.array(values, arrow)})

    encoded = write_file(table, Schema(optional(1, "x", old)), row_group_size=rows)

    check_pruning(encoded, Schema(optional(1, "x", new)), compare("x", value))


STRUCT = pa.struct([("c", pa.string()), ("k", pa.int64())])
NESTED = fresh_schema(pa.schema([("p", STRUCT)]), 2)
FIELDS = st.fixed_dictionaries({"c": st.none() | st.sampled_from(["a", "b"]), "k": st.none() | st.integers(0, 2)})
ON_FIELDS = [
    ex.EqualTo("p.c", "a"), ex.GreaterThan("p.k", 0), ex.LessThan("p.k", 1), ex.IsNull("p.k"), ex.NotNull("p.c"),
    ex.IsNull("p.c"), ex.NotIn("p.k", [1, 2]), ex.NotEqualTo("p.k", 1),
]  # fmt: skip


@FILES
@given(
    people=st.lists(st.none() | FIELDS, min_size=1, max_size=8),
    known=st.sampled_from([["c", "k"], ["k"]]),
    rows=st.integers(1, 3),
    where=st.builds(
        lambda both, left, right: both(left, right),
        st.sampled_from([ex.And, ex.Or]), st.sampled_from(ON_FIELDS), st.sampled_from(ON_FIELDS),
    ),
)  # fmt: skip
def test_fields_of_structs(
    write_file: Any, check_pruning: Any, people: list[Any], known: list[str], rows: int, where: Any
) -> None:
    """A field is null where its struct is, and where the file was written before the field was added."""
    fields = [each for each in NESTED.find_type("p").fields if each.name in known]
    old = Schema(optional(1, "p", StructType(*fields)))
    values = [each and {name: each[name] for name in known} for each in people]
    table = pa.table({"p": pa.array(values, arrow_schema(old).field("p").type)})

    check_pruning(write_file(table, old, row_group_size=rows), NESTED, where)


VALUES: dict[str, tuple[Any, list[Any]]] = {
    "long": (LongType(), [1, 2, 3]),
    "double": (types.DoubleType(), [0.5, -0.0, 0.0]),
    "float": (types.FloatType(), [0.1, 0.25, 3.0]),
    "string": (types.StringType(), ["", "a", "ab"]),
    "binary": (types.BinaryType(), [b"", b"a", b"\xff"]),
    "boolean": (types.BooleanType(), [False, True]),
    "decimal": (types.DecimalType(30, 2), [Decimal("-1.50"), Decimal("1.00")]),
}


@pytest.mark.parametrize("name", list(VALUES))
@settings(FILES, max_examples=60)
@given(data=st.data(), source=st.sampled_from(["null", "default", "partition"]))
def test_columns_that_a_file_lacks(
    write_file: Any, check_pruning: Any, data: st.DataObject, source: str, name: str
) -> None:
    """A missing column is its partition's value, else its default, else null: all rows pass, or none."""
    kind, pool = VALUES[name]
    value, other = data.draw(st.sampled_from(pool)), data.draw(st.sampled_from(pool))
    where = data.draw(
        st.sampled_from([ex.IsNull("x"), ex.NotNull("x")]) | COMPARISON.map(lambda each: each("x", other))
    )
    here = optional(1, "here", LongType())
    now = Schema(here, optional(2, "x", kind, value if source == "default" else None))
    encoded = write_file(pa.table({"here": pa.array([1, 2], pa.int64())}), Schema(here), row_group_size=1)

    found = check_pruning(encoded, now, where, constants={2: value} if source == "partition" else {})

    certain = source == "null" or name in {"long", "boolean", "decimal"} or isinstance(where, ex.IsNull | ex.NotNull)
    assert Match.SOME not in found or not certain


def test_files_of_two_layouts_are_told_apart(write_file: Any) -> None:
    """What is remembered of one file's columns is not used for a file that has them elsewhere."""
    both = Schema(optional(1, "l", LongType()), optional(2, "i", IntegerType()))
    first = write_file(pa.table({"l": [5], "i": [1]}), both)
    second = write_file(pa.table({"i": [1], "l": [5]}), Schema(*reversed(both.fields)))
    found = RowGroupFilter.of(ReadSpec("t", 1, both, both, ex.EqualTo("l", 5), None, 2, {}))
    assert found is not None

    metadata = [pq.read_metadata(pa.BufferReader(each)) for each in (first, second, first)]

    assert [found.file(both, each, {}).match(0) for each in metadata] == [Match.ALL] * 3
