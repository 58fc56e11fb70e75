"""What a pushed row holds in JSON is what it was made of, whatever the type, nulls and slices included."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from exact_columns import EXACT_COLUMNS
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.cache.pushed.values import from_json, has_form, python_of, to_json
from lakeflow_io.errors import CorruptFileError

_INT64 = st.integers(-(2**63), 2**63 - 1)
_LEAVES = [
    (pa.int64(), _INT64),
    (pa.string(), st.text(max_size=3)),
    (pa.timestamp("ns", "UTC"), _INT64),
    (pa.time64("us"), st.times()),
    (pa.large_binary(), st.binary(max_size=3)),
    (pa.decimal128(38, 10), st.decimals(-(10**20), 10**20, places=10)),
]


def _nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Types made of other types, each with a strategy for its values."""
    lists = inner.map(lambda of: (pa.list_(of[0]), st.lists(of[1] | st.none(), max_size=3)))
    fixed = inner.map(lambda of: (pa.list_(of[0], 2), st.lists(of[1] | st.none(), min_size=2, max_size=2)))
    maps = inner.map(
        lambda of: (
            pa.map_(pa.string(), of[0]),
            st.lists(st.tuples(st.text(max_size=2), of[1] | st.none()), max_size=3),
        )
    )
    structs = st.lists(inner, min_size=1, max_size=2).map(
        lambda ofs: (
            pa.struct([(f"f{n}", kind) for n, (kind, _) in enumerate(ofs)]),
            st.fixed_dictionaries({f"f{n}": values | st.none() for n, (_, values) in enumerate(ofs)}),
        )
    )
    return st.one_of(lists, fixed, maps, structs)


@settings(max_examples=60)
@given(data=st.data())
def test_nested_values_survive(data: st.DataObject) -> None:
    """Types within types, to any depth, sliced."""
    kind, values = data.draw(st.recursive(st.sampled_from(_LEAVES), _nested, max_leaves=4))
    whole = pa.array(data.draw(st.lists(values | st.none(), max_size=4)), kind)
    column = whole.slice(data.draw(st.integers(0, len(whole))))

    back = from_json(json.loads(json.dumps(to_json(column))), kind)

    back.validate(full=True)
    assert has_form(kind)
    assert back.equals(column)


@pytest.mark.parametrize("column", EXACT_COLUMNS, ids=lambda column: str(column.type))
def test_one_value_is_what_arrow_gives(column: pa.Array) -> None:
    """As `get` returns it."""
    convert = python_of(column.type)

    values = json.loads(json.dumps(to_json(column)))

    assert column.to_pylist() == [v if convert is None or v is None else convert(v) for v in values]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (pa.int64(), ["x"]),
        (pa.date32(), ["x"]),
        (pa.binary(), ["\xff"]),
        (pa.decimal128(5, 2), ["x"]),
        (pa.list_(pa.date32()), [7]),
        (pa.list_(pa.date32(), 2), [[1]]),
        (pa.struct({"a": pa.date32()}), [{"b": 1}]),
        (pa.map_(pa.string(), pa.date32()), [[["k"]]]),
        (pa.month_day_nano_interval(), [[1]]),
    ],
    ids=str,
)
def test_what_others_wrote_is_said_not_to_fit(kind: pa.DataType, wrong: list) -> None:
    """Whatever pyarrow makes of it."""
    with pytest.raises(CorruptFileError, match="don't fit"):
        from_json(wrong, kind)


def test_a_struct_with_one_name_twice_has_no_form() -> None:
    """JSON's objects don't have it, at any depth."""
    twice = pa.struct([("a", pa.int64()), ("a", pa.string())])

    assert not any(map(has_form, (twice, pa.list_(twice), pa.map_(pa.string(), twice), pa.struct({"b": twice}))))
