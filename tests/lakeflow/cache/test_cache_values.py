"""Single values of a column, beside those of Arrow's scalars."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.cache.files.values import python_values

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    **{
        kind: st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
        for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())
    },
    **{kind: st.integers(0, 2**kind.bit_width - 1) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    pa.float16(): st.floats(width=16),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=9),
    pa.large_string(): st.text(max_size=9),
    pa.binary(): st.binary(max_size=9),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): st.integers(0, 2**50),
    pa.decimal128(20, 3): st.integers(-(10**19), 10**19).map(lambda n: Decimal(n).scaleb(-3)),
    pa.list_(pa.int64()): st.lists(st.integers(0, 9), max_size=3),
}


@pytest.mark.parametrize("nulls", [False, True], ids=["without nulls", "with nulls"])
@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_a_value_is_what_arrow_says(kind: pa.DataType, data: st.DataObject, *, nulls: bool) -> None:
    """The same value of the same type, NaN and infinities included, also in a slice."""
    each = VALUES[kind] | st.none() if nulls else VALUES[kind]
    column = pa.array(data.draw(st.lists(each, max_size=9)), kind).slice(data.draw(st.integers(0, 3)))

    values = python_values(column)

    for row, scalar in enumerate(column):
        expected, seen = scalar.as_py(), values[row]
        assert type(expected) is type(seen)
        assert expected == seen or (math.isnan(expected) and math.isnan(seen))


class _Money(pa.ExtensionType):  # type: ignore[misc]  # noqa: PLW1641  (that is what it is for)
    """A type of a user's, with `__eq__` alone: so Python gives it no hash."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "money")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> _Money:
        del storage, serialized
        return cls()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Money)


def test_values_of_a_type_without_a_hash() -> None:
    """They are read as Arrow reads them."""
    values = python_values(pa.ExtensionArray.from_storage(_Money(), pa.array([7, None])))

    assert [values[0], values[1]] == [7, None]
    assert python_values(pa.ExtensionArray.from_storage(_Money(), pa.array([7])))[0] == 7
