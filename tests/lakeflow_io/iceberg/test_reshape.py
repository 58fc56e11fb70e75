"""A column becomes another type, at any depth, as a model of plain Python values says."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.exceptions import ResolveError
from pyiceberg.schema import Schema
from pyiceberg.types import (
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
)

from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.reshape import reshape

PROMOTED = {IntegerType(): LongType(), FloatType(): DoubleType(), StringType(): StringType()}


@st.composite
def types(draw: Any, depth: int = 3) -> IcebergType:
    """A type with ids that are unique within it."""
    counter = draw(st.just(iter(range(1, 10_000))))

    def make(left: int) -> IcebergType:
        kind = draw(st.sampled_from(["leaf", "struct", "list", "map"] if left else ["leaf"]))
        if kind == "struct":
            count = draw(st.integers(1, 3))
            return StructType(*(NestedField(next(counter), f"f{n}", make(left - 1)) for n in range(count)))
        if kind == "list":
            return ListType(next(counter), make(left - 1), element_required=False)
        if kind == "map":
            return MapType(next(counter), StringType(), next(counter), make(left - 1), value_required=False)
        return draw(st.sampled_from(list(PROMOTED)))

    return make(depth)


def evolved(draw: Any, kind: IcebergType, fresh: Any) -> IcebergType:
    """The same type later: fields dropped, added, renamed, moved and promoted."""
    if isinstance(kind, StructType):
        fields = [
            NestedField(field.field_id, draw(st.sampled_from([field.name, f"r{field.field_id}"])),
                        evolved(draw, field.field_type, fresh))
            for field in kind.fields if draw(st.integers(0, 3))
        ]  # fmt: skip
        for _ in range(draw(st.integers(0 if fields else 1, 1))):
            number = next(fresh)
            default = draw(st.sampled_from([None, 7]))
            fields.append(NestedField(number, f"n{number}", LongType(), initial_default=default))
        return StructType(*draw(st.permutations(fields)))
    if isinstance(kind, ListType):
        return ListType(kind.element_id, evolved(draw, kind.element_type, fresh), element_required=False)
    if isinstance(kind, MapType):
        value = evolved(draw, kind.value_type, fresh)
        return MapType(kind.key_id, kind.key_type, kind.value_id, value, value_required=False)
    return draw(st.sampled_from([kind, PROMOTED[kind]]))  # type: ignore[index]


def values(kind: IcebergType) -> Any:
    """Values of a type, nulls at every level."""
    if isinstance(kind, StructType):
        made = st.fixed_dictionaries({field.name: values(field.field_type) for field in kind.fields})
    elif isinstance(kind, ListType):
        made = st.lists(values(kind.element_type), max_size=3)
    elif isinstance(kind, MapType):
        pairs = st.dictionaries(st.text("ab", max_size=2), values(kind.value_type), max_size=2)
        made = pairs.map(lambda pair: list(pair.items()))
    else:
        made = {IntegerType: st.integers(-9, 9), FloatType: st.sampled_from([0.5, -1.0]), StringType: st.text("xy")}[
            type(kind)
        ]
    return st.none() | made


def model(value: Any, have: IcebergType, want: IcebergType) -> Any:
    """What a value is in the new type."""
    if value is None:
        return None
    if isinstance(have, StructType):
        old = {field.field_id: field for field in have.fields}
        return {
            field.name: model(value[old[field.field_id].name], old[field.field_id].field_type, field.field_type)
            if field.field_id in old
            else field.initial_default
            for field in want.fields
        }
    if isinstance(have, ListType):
        return [model(each, have.element_type, want.element_type) for each in value]
    if isinstance(have, MapType):
        return [(key, model(each, have.value_type, want.value_type)) for key, each in value]
    return value


def arrow(kind: IcebergType) -> pa.DataType:
    """A type in Arrow."""
    return arrow_schema(Schema(NestedField(99_999, "x", kind))).field(0).type


@given(data=st.data(), have=types())
def test_any_type_becomes_what_it_evolved_to(data: st.DataObject, have: IcebergType) -> None:
    """Whole and sliced, with nulls at every level: each value is what the model says, and Arrow finds no fault."""
    want = evolved(data.draw, have, iter(range(20_000, 30_000)))
    rows = data.draw(st.lists(values(have), max_size=6))
    start = data.draw(st.integers(0, len(rows)))
    found = pa.array(rows, arrow(have)).slice(start)

    shaped = reshape(found, have, want, arrow(want))

    shaped.validate(full=True)
    assert (arrow(want), [model(each, have, want) for each in rows[start:]]) == (shaped.type, shaped.to_pylist())


@pytest.mark.parametrize(
    ("have", "want"),
    [
        (LongType(), IntegerType()), (StringType(), LongType()), (StructType(), LongType()),
        (ListType(1, LongType()), LongType()), (LongType(), ListType(1, LongType())), (DoubleType(), FloatType()),
    ],
)  # fmt: skip
def test_what_does_not_become_the_other(have: IcebergType, want: IcebergType) -> None:
    """No value is read as what it isn't."""
    with pytest.raises((ResolveError, ValueError)):
        reshape(pa.array([None], arrow(have)), have, want, arrow(want))


def test_a_required_field_without_a_default_must_be_there() -> None:
    """A file that lacks it isn't a file of this table."""
    have = StructType(NestedField(1, "a", LongType()))
    want = StructType(NestedField(2, "b", LongType(), required=True))

    with pytest.raises(ValueError, match="required field 'b'"):
        reshape(pa.array([{"a": 1}], arrow(have)), have, want, arrow(want))


@pytest.mark.parametrize("size", [pa.large_list(pa.int32()), pa.list_(pa.int32(), 2), pa.list_(pa.int32())])
def test_lists_of_each_layout(size: pa.DataType) -> None:
    """Long offsets and fixed sizes are lists, too."""
    have, want = ListType(1, IntegerType()), ListType(1, LongType())

    shaped = reshape(pa.array([[1, 2], None, [3, 4]], size), have, want, arrow(want))

    assert shaped.to_pylist() == [[1, 2], None, [3, 4]]
