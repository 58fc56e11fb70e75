"""`where` means what SQL means by it, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.expressions import Not

from lakeflow_io.errors import FilterError, LakeflowError, NotFoundError

if TYPE_CHECKING:
    import lakeflow as lf

NAN = float("nan")
CITY = pa.struct([("name", pa.string()), ("people", pa.int64())])
ROWS = pa.table(
    {
        "row": pa.array(range(5), pa.int64()),
        "i": pa.array([1, 2, 3, None, -1], pa.int64()),
        "small": pa.array([1, 2, 3, None, -1], pa.int32()),
        "f": pa.array([1.0, NAN, None, 5.0, 1.5], pa.float64()),
        "s": pa.array(["a", "ab", None, "b", "a_b"], pa.string()),
        "city": pa.array([{"name": "Ulm", "people": 1}, {"name": None, "people": 2}, None, {"name": "Bonn"}, {}], CITY),
    }
)


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """`ROWS`."""
    made = embedded.create_table(f"{namespace}.t", ROWS.schema)
    made.append(ROWS)
    return made


def found(table: lf.Table, where: Any) -> list[int]:
    """The rows that a filter lets through."""
    return sorted(table.scan(columns=["row"], where=where).read().to_arrow()["row"].to_pylist())


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("i != 1", [1, 2, 4]),
        ("not i = 1", [1, 2, 4]),
        ("i not in (1)", [1, 2, 4]),
        ("i not in (1, 2)", [2, 4]),
        ("not i in (1)", [1, 2, 4]),
        ("not (i in (1, 2))", [2, 4]),
        ("not (not (i in (1, 2)))", [0, 1]),
        ("not (i in (1, 2) or i = 3)", [4]),
        ("not (i > 1)", [0, 4]),
        ("not (i not in (1, 2))", [0, 1]),
        ("i not in (1, 2) or i is null", [2, 3, 4]),
        ("small not in (1, 2)", [2, 4]),
        ("s not in ('a', 'b')", [1, 4]),
        ("s not in ('a')", [1, 3, 4]),
        ("not (s in ('a', 'b'))", [1, 4]),
        ("s != 'a'", [1, 3, 4]),
        ("s not like 'a%'", [3]),
        ("not s like 'a%'", [3]),
        ("s like 'a%'", [0, 1, 4]),
        ("city.name not in ('Ulm', 'Aue')", [3]),
        ("city.name not in ('Ulm')", [3]),
        ("city.name != 'Ulm'", [3]),
        ("not (city.name in ('Ulm', 'Aue'))", [3]),
        ("city.people not in (1, 7)", [1]),
    ],
)
def test_a_negation_drops_nulls(table: lf.Table, where: str, rows: list[int]) -> None:
    """A null is neither equal nor unequal: `not in` and `not (... in ...)` drop it, as `!=` does."""
    assert rows == found(table, where)


def test_an_expression_drops_nulls_too(table: lf.Table) -> None:
    """The same filter as pyiceberg's objects."""
    from pyiceberg.expressions import In, NotIn

    assert found(table, NotIn("i", {1, 2})) == [2, 4]
    assert found(table, Not(In("i", {1, 2}))) == [2, 4]


@pytest.mark.parametrize("compare", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("column", ["i", "small", "city.people"])
def test_a_fraction_is_no_integer(table: lf.Table, column: str, compare: str) -> None:
    """`i = 1.5` would be rounded to `i = 1`: refused, whatever the comparison."""
    with pytest.raises(FilterError, match=r"1\.5"):
        table.scan(where=f"{column} {compare} 1.5")


@pytest.mark.parametrize(
    "where", ["i in (1, 2.5)", "i not in (2.5)", "not i = 2.5", "s = 'a' and (i > 2.5 or f > 1)", "i between 1 and 2.5"]
)
def test_a_fraction_anywhere_in_a_filter_is_seen(table: lf.Table, where: str) -> None:
    """In lists, ranges, negations and beneath and/or."""
    with pytest.raises(FilterError):
        table.scan(where=where)


def test_a_fraction_of_an_expression_is_seen(table: lf.Table) -> None:
    """The same with pyiceberg's objects."""
    from pyiceberg.expressions import GreaterThan

    with pytest.raises(FilterError):
        table.scan(where=GreaterThan("i", 1.5))


@pytest.mark.parametrize(("where", "rows"), [("f = 1.5", [4]), ("f > 1.25", [3, 4]), ("i = 2", [1]), ("f = 5", [3])])
def test_a_number_of_the_columns_type_is_fine(table: lf.Table, where: str, rows: list[int]) -> None:
    """Fractions on fractions, whole numbers on both."""
    assert set(rows) <= set(found(table, where)) <= {*rows, 1}


@pytest.mark.parametrize("where", ["s like 'a_'", "s like 'a_%'", "s like '_'", "s not like 'a_%'", "not s like '_%'"])
def test_an_underscore_in_like_is_refused(table: lf.Table, where: str) -> None:
    """SQL's `_` is any one character; ours would be the character itself: refused rather than misread."""
    with pytest.raises(FilterError, match="_") as caught:
        table.scan(where=where)

    assert caught.value.hint


@pytest.mark.parametrize("where", [5, 1.5, True, b"i = 1", ["i = 1"], {"i": 1}, object()])
def test_a_filter_that_is_no_text_is_refused(table: lf.Table, where: Any) -> None:
    """Numbers, lists and dicts are no filters; the message names what was given."""
    with pytest.raises(FilterError) as caught:
        table.scan(where=where)

    assert type(where).__name__ in str(caught.value) or repr(where) in str(caught.value)


@pytest.mark.parametrize("where", ["a.b = 2", "a.b is null", "a.b in (1, 2)", "k = 1 and a.b > 1"])
def test_a_column_with_a_dot_is_refused_in_a_filter(embedded: lf.Lake, namespace: str, where: str) -> None:
    """`a.b` reads as a field of a struct `a`: an error of ours before anything is read, or the right rows."""
    table = embedded.create_table(f"{namespace}.dots", pa.schema([("a.b", pa.int64()), ("k", pa.int64())]))
    table.append(pa.table({"a.b": [1, 2], "k": [1, 2]}))

    with pytest.raises(LakeflowError) as caught:
        table.scan(where=where)

    assert "a.b" in str(caught.value)


def test_a_column_with_a_dot_reads(embedded: lf.Lake, namespace: str) -> None:
    """Such a column is read like any other, also beside a filter on another column."""
    table = embedded.create_table(f"{namespace}.dots", pa.schema([("a.b", pa.int64()), ("k", pa.int64())]))
    table.append(pa.table({"a.b": [1, 2], "k": [1, 2]}))

    assert table.scan(columns=["a.b"], where="k = 2").read().to_pylist() == [{"a.b": 2}]


def test_a_missing_field_of_a_struct_is_named(table: lf.Table) -> None:
    """A field that isn't there is NotFoundError, as a column is."""
    with pytest.raises(NotFoundError, match=r"city\.nam"):
        table.scan(where="city.nam = 'Ulm'")
