"""A filter of a thousand terms, as programs write them, narrows a scan as a short one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from lakeflow_engines.frames import lazy_duckdb

if TYPE_CHECKING:
    from typing import Any

    import lakeflow as lf


@pytest.mark.parametrize("terms", [10, 400, 1000])
@pytest.mark.parametrize("kind", ["and", "or"])
def test_duckdb_filters_of_any_length(mixed: lf.Table, recorder: Any, terms: int, kind: str) -> None:
    """The rows are right; nothing is too deep for anything on the way."""
    source = recorder(mixed.scan())
    many = " and ".join(f"i <> {each}" for each in range(100, 100 + terms))
    some = " or ".join(f"(i > {each} and i < {each + 2})" for each in range(terms))
    condition = many if kind == "and" else some

    found = lazy_duckdb(source).filter(condition).project("i").fetchall()

    everything = duckdb.connect().from_arrow(mixed.scan().read().to_arrow())
    assert sorted(found) == sorted(everything.filter(condition).project("i").fetchall())
