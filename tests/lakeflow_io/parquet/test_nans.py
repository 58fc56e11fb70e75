"""NaN are counted wherever floats are, and nowhere else."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.iceberg.internals import arrow_schema, fresh_schema
from lakeflow_io.parquet.nans import NanCounter

FLOATS = st.none() | st.sampled_from([0.0, 1.5, math.nan, math.inf])
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int64(), st.none() | st.integers(0, 3)),
    "x": (pa.float64(), FLOATS),
    "y": (pa.float32(), FLOATS),
    "s": (pa.struct([("a", pa.float64()), ("b", pa.string())]), st.none() | st.fixed_dictionaries({"a": FLOATS})),
    "l": (pa.list_(pa.float32()), st.none() | st.lists(FLOATS, max_size=3)),
    "m": (
        pa.map_(pa.string(), pa.struct([("v", pa.float64())])),
        st.none() | st.dictionaries(st.sampled_from("ab"), st.none() | st.fixed_dictionaries({"v": FLOATS})),
    ),
    "d": (
        pa.list_(pa.struct([("l", pa.list_(pa.float64()))])),
        st.none() | st.lists(st.none() | st.fixed_dictionaries({"l": st.none() | st.lists(FLOATS, max_size=2)})),
    ),
}
SCHEMA = fresh_schema(pa.schema([(name, kind) for name, (kind, _) in KINDS.items()]), 2)
LEAVES = {"x": "x", "y": "y", "s.a": "s", "l.element": "l", "m.value.v": "m", "d.element.l.element": "d"}


def nans(value: Any) -> int:
    """In a value, however deep."""
    if isinstance(value, dict):
        return sum(map(nans, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(nans, value))
    return int(isinstance(value, float) and math.isnan(value))


@given(
    rows=st.lists(st.fixed_dictionaries({name: some for name, (_, some) in KINDS.items()}), max_size=12),
    cut=st.integers(0, 12),
)
def test_every_nan_is_counted(rows: list[dict[str, Any]], cut: int) -> None:
    """Nested or not, beside nulls and beneath them, in slices that begin in the middle."""
    schema = arrow_schema(SCHEMA, field_ids=True)
    made = [{**row, "m": None if row["m"] is None else list(row["m"].items())} for row in rows]
    data = pa.Table.from_pylist(made, schema)
    counter = NanCounter(schema)

    for part in (data.slice(0, cut), data.slice(cut)):
        counter.add(part)

    expected = {SCHEMA.find_field(leaf).field_id: sum(nans(row[name]) for row in rows) for leaf, name in LEAVES.items()}
    assert expected == {each: counter.counts[each] for each in expected}
    assert counter.counts.keys() <= expected.keys()


def test_nan_beneath_null_is_none() -> None:
    """Whatever writers have left where a struct or a list is null."""
    schema = arrow_schema(fresh_schema(pa.schema([("s", KINDS["s"][0]), ("l", KINDS["l"][0])]), 2), field_ids=True)
    mask = pa.array([False, True])
    inside = [pa.array([math.nan, math.nan]), pa.nulls(2, pa.string())]
    structs = pa.StructArray.from_arrays(inside, fields=list(schema.field("s").type), mask=mask)
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 3], pa.int32()), pa.array([math.nan] * 3, pa.float32()), schema.field("l").type, mask=mask
    )
    counter = NanCounter(schema)

    counter.add(pa.table([structs, lists], schema=schema))

    assert list(counter.counts.values()) == [1, 1]
