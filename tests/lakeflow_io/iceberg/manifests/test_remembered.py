"""What is remembered of decoded manifests only grows while they are remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.iceberg.manifests import fetch
from lakeflow_io.iceberg.manifests.entries import Extras

if TYPE_CHECKING:
    import lakeflow as lf

IDS = st.frozensets(st.integers(1, 6), max_size=4)


@st.composite
def extras(draw: st.DrawFn) -> Extras:
    """What a scan may want: bounds of columns, and places of columns in one of two orders."""
    order = draw(st.sampled_from([(), (1, 2, 3, 4), (4, 3, 2, 1)]))
    sizes = tuple(each for each in order if draw(st.booleans()))
    return Extras(draw(IDS), order, sizes)


@given(one=extras(), other=extras())
def test_a_union_covers_what_is_asked_for(one: Extras, other: Extras) -> None:
    """And what was known before, but for places in another order, of which there is but one."""
    both = one.union(other)

    assert both.covers(one)
    assert both.covers(Extras(other.bounds))
    assert both.covers(other) or other.order not in ((), one.order)


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """Two manifests."""
    made = embedded.create_table(
        f"{namespace}.t", pa.schema([("a", pa.int64()), ("b", pa.int64()), ("c", pa.string())])
    )
    for start in (0, 10):
        made.append({"a": [start], "b": [start + 1], "c": [str(start)]})
    return made


def test_filters_that_alternate_decode_no_manifest_again(table: lf.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each filter looks at other columns: after one pass over all of them nothing is decoded any more."""
    original, decoded = fetch.read_manifest, []

    def read(*arguments: Any) -> Any:
        decoded.append(arguments[0].path)
        return original(*arguments)

    monkeypatch.setattr(fetch, "read_manifest", read)
    filters = ["a = 10", "b = 11", "c = '10'", None]

    first = [len(table.scan(where=where).pieces) for where in filters]
    passed = len(decoded)
    again = [len(table.scan(where=where).pieces) for where in filters * 2]

    assert first == [1, 1, 1, 2]
    assert again == first * 2
    assert passed == len(decoded) <= 2 * 3
