"""`key=value` folders become typed columns."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import InputError, LakeflowError, NotFoundError, SchemaError
from lakeflow_io.folder.hive import label, partitions
from lakeflow_io.folder.listing import Found

NULL = "__HIVE_DEFAULT_PARTITION__"


def found(*folders: str) -> list[Found]:
    """One file in each folder."""
    pairs = [tuple(tuple(part.split("=", 1)) for part in folder.split("/") if "=" in part) for folder in folders]
    return [Found(f"s3://b/{folder}/f.parquet", 1, keys) for folder, keys in zip(folders, pairs, strict=True)]


@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), min_size=1))
def test_any_text_comes_back(values: list[str | None]) -> None:
    """Whatever was percent-encoded into a path is decoded from it; null is null."""
    files = found(*(f"k={NULL if value is None else quote(value, safe='')}" for value in values if value != NULL))
    expected = [value for value in values if value != NULL]
    if not files:
        return

    got = partitions(files, {"k": pa.string()})["k"]

    assert expected == got.to_pylist()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-2", "007"], pa.int64(), [1, -2, 7]),
        (["1", NULL], pa.int64(), [1, None]),
        (["9223372036854775807", "-9223372036854775808"], pa.int64(), [2**63 - 1, -(2**63)]),
        (["9223372036854775808"], pa.string(), ["9223372036854775808"]),
        (["1", "x"], pa.string(), ["1", "x"]),
        (["1", ""], pa.string(), ["1", ""]),
        (["1.5"], pa.string(), ["1.5"]),
        (["\u0661"], pa.string(), ["\u0661"]),
        (["+1"], pa.string(), ["+1"]),
        (["2024-02-29", NULL], pa.date32(), [date(2024, 2, 29), None]),
        (["2023-02-29"], pa.string(), ["2023-02-29"]),
        (["2024-01-01", "1"], pa.string(), ["2024-01-01", "1"]),
        ([NULL, NULL], pa.string(), [None, None]),
        (["true"], pa.string(), ["true"]),
        (["100%", "a%20b"], pa.string(), ["100%", "a b"]),
    ],
)
def test_a_type_fits_all_values(values: list[str], kind: pa.DataType, expected: list[object]) -> None:
    """Whole numbers of 64 bits, else ISO dates that exist, else text; nulls fit anything."""
    got = partitions(found(*(f"k={value}" for value in values)), None)["k"]

    assert kind == got.type
    assert expected == got.to_pylist()


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("007", pa.string(), "007"),
        ("7", pa.int16(), 7),
        ("7", pa.float64(), 7.0),
        ("true", pa.bool_(), True),
        ("1.50", pa.decimal128(5, 2), Decimal("1.50")),
        ("2024-01-01 10%3A00%3A00", pa.timestamp("us"), datetime(2024, 1, 1, 10)),  # noqa: DTZ001
        ("x", pa.dictionary(pa.int32(), pa.string()), "x"),
    ],
)
def test_the_caller_knows_better(text: str, kind: pa.DataType, expected: object) -> None:
    """A type that is asked for is the column's, by name or in a schema."""
    for asked in ({"k": kind}, pa.schema([("k", kind)])):
        assert [expected] == partitions(found(f"k={text}"), asked)["k"].to_pylist()


def test_keys_are_in_the_order_of_the_path() -> None:
    """Outermost first, decoded; a folder between them that is no key is nothing."""
    got = partitions(found("a%20b=1/between/c=2", "c=3/a%20b=4"), None)

    assert got.column_names == ["a b", "c"]
    assert got.to_pylist() == [{"a b": 1, "c": 2}, {"a b": 4, "c": 3}]
    assert label(got.column_names, [1, None]) == "a%20b=1/c=__HIVE_DEFAULT_PARTITION__"


@pytest.mark.parametrize("files", [found("year=2024", "data"), found("year=2024")])
def test_hive_can_be_ignored(files: list[Found]) -> None:
    """hive=False knows no keys, and no inconsistency."""
    got = partitions(files, hive=False)

    assert got.column_names == []
    assert len(files) == got.num_rows


@pytest.mark.parametrize(
    ("folders", "hive", "error", "said"),
    [
        (["year=2024", "month=1"], None, SchemaError, "month"),
        (["year=2024", "year=2024/month=1"], None, SchemaError, "month"),
        (["year=2024", "data"], None, SchemaError, "s3://b/data/f.parquet"),
        (["year=1/year=2"], None, SchemaError, "twice"),
        (["year=%ff"], None, SchemaError, "UTF-8"),
        (["data"], True, SchemaError, "key=value"),
        (["year=2024"], {"yaer": pa.int32()}, NotFoundError, "did you mean year"),
        (["year=2024", "year=x"], {"year": pa.int32()}, SchemaError, "year=x"),
        (["year=300"], {"year": pa.duration("s")}, LakeflowError, "'year'"),
        (["year=300"], {"year": pa.list_(pa.int32())}, SchemaError, "'year'"),
        (["year=300"], {"year": int}, InputError, "hive="),
        (["year=300"], "yes", InputError, "hive="),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said(folders: list[str], hive: object, error: type[Exception], said: str) -> None:
    """Each error names the file, the key or the value."""
    with pytest.raises(error, match=said):
        partitions(found(*folders), hive)  # type: ignore[arg-type]
