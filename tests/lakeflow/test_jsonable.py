"""Values as JSON: one set of rules, whichever library writes them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow import jsonable
from lakeflow.jsonable import to_json

LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.decimals(), st.uuids()),
    *(st.dates(), st.times(), st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.timedeltas()),
)
VALUES = st.recursive(
    LEAVES,
    lambda each: st.one_of(st.lists(each), st.tuples(each, each), st.dictionaries(st.text(), each)),
    max_leaves=20,
)


@given(VALUES)
def test_both_libraries_write_the_same(value: Any) -> None:
    """With orjson and without it a reader finds the same values, of the same types."""
    pytest.importorskip("orjson")
    quick = to_json(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonable, "orjson", None)
        slow = to_json(value)

    assert json.loads(slow) == json.loads(quick)
    assert repr(json.loads(slow)) == repr(json.loads(quick))


@pytest.mark.parametrize("library", ["orjson", "json"])
def test_values_without_a_json_type_have_a_form(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as the table of the module has it; nulls beside them stay nulls."""
    if library == "json":
        monkeypatch.setattr(jsonable, "orjson", None)
    moment = datetime(2024, 2, 29, 12, 30, 0, 5, tzinfo=UTC)
    row = {
        "moment": moment,
        "day": date(2024, 2, 29),
        "clock": time(1, 2, 3),
        "bytes": b"\x00\xff",
        "amount": Decimal("1.50"),
        "id": UUID(int=1),
        "took": timedelta(seconds=90),
        "large": 2**70,
        "map": [("a", float("nan"))],
        "floats": [float("inf"), float("-inf"), 0.5],
        "nothing": None,
        "ü": "ü",
    }

    assert json.loads(to_json(row)) == {
        "moment": "2024-02-29T12:30:00.000005+00:00",
        "day": "2024-02-29",
        "clock": "01:02:03",
        "bytes": "AP8=",
        "amount": "1.50",
        "id": "00000000-0000-0000-0000-000000000001",
        "took": "0:01:30",
        "large": 2**70,
        "map": [["a", "NaN"]],
        "floats": ["Infinity", "-Infinity", 0.5],
        "nothing": None,
        "ü": "ü",
    }


@pytest.mark.parametrize("library", ["orjson", "json"])
def test_a_value_without_a_form_is_an_error(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the type."""
    if library == "json":
        monkeypatch.setattr(jsonable, "orjson", None)

    with pytest.raises(TypeError, match="complex has no JSON form"):
        to_json({"value": 1j})
