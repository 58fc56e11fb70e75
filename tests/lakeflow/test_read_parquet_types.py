"""Files of one folder that differ, and types that Iceberg lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakeflow as lf
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path


def files(root: Path, **tables: Any) -> Path:
    """A folder of files; `__` in a name is a slash."""
    for name, table in tables.items():
        path = root.joinpath(*name.split("__")).with_suffix(".parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path)
    return root


def test_files_differ_and_are_matched_by_name(tmp_path: Path) -> None:
    """The first file says which columns; others may have another order, more, fewer, or narrower types."""
    root = files(
        tmp_path,
        a={"id": pa.array([1], pa.int64()), "x": pa.array([1.5], pa.float64()), "s": ["a"]},
        b={"more": [True], "x": pa.array([0.5], pa.float32()), "id": pa.array([2], pa.int16())},
        c={"s": pa.nulls(1), "id": pa.array([3], pa.int32())},
    )

    got = lf.read_parquet(root).to_pylist()

    assert got == [{"id": 1, "x": 1.5, "s": "a"}, {"id": 2, "x": 0.5, "s": None}, {"id": 3, "x": None, "s": None}]


def test_union_by_name_has_the_columns_of_all(tmp_path: Path) -> None:
    """In the widest types, in the order in which they appear; structs and lists unite inside."""
    narrow = pa.struct([("a", pa.int32()), ("b", pa.string())])
    wide = pa.struct([("c", pa.bool_()), ("a", pa.int64())])
    root = files(
        tmp_path,
        a={"id": pa.array([1], pa.int32()), "s": pa.array([{"a": 1, "b": "x"}], narrow), "l": [[{"p": 1}]]},
        b={"s": pa.array([{"c": True, "a": 2**40}], wide), "new": ["n"], "id": pa.array([2**40], pa.int64())},
        c={"l": pa.array([None, [{"q": "y"}]]), "id": pa.nulls(2)},
    )

    got = lf.read_parquet(root, union_by_name=True)

    kind = pa.struct([("a", pa.int64()), ("b", pa.string()), ("c", pa.bool_())])
    assert got.schema.names == ["id", "s", "l", "new"]
    assert [pa.int64(), kind] == got.schema.types[:2]
    assert got.to_pylist() == [
        {"id": 1, "s": {"a": 1, "b": "x", "c": None}, "l": [{"p": 1, "q": None}], "new": None},
        {"id": 2**40, "s": {"a": 2**40, "b": None, "c": True}, "l": None, "new": "n"},
        {"id": None, "s": None, "l": None, "new": None},
        {"id": None, "s": None, "l": [{"p": None, "q": "y"}], "new": None},
    ]


def test_a_schema_says_which_columns(tmp_path: Path) -> None:
    """Its names, order and types; what no file has is null; partitions it doesn't name come last."""
    root = files(tmp_path, **{"k=7__l=8__a": {"id": pa.array([1], pa.int32()), "x": ["unasked"]}})
    asked = pa.schema([("none", pa.string()), ("k", pa.string()), ("id", pa.int64())])

    got = lf.read_parquet(root, schema=asked)

    assert got.to_pylist() == [{"none": None, "k": "7", "id": 1, "l": 8}]
    assert lf.read_parquet(root, schema=asked, columns=["none", "id"]).to_pylist() == [{"none": None, "id": 1}]


@pytest.mark.parametrize("ids", [[7, 3], [2, 1], [1, 1], [-1, 5]])
def test_field_ids_of_the_files_mean_nothing(tmp_path: Path, ids: list[int]) -> None:
    """A plain file written by an Iceberg engine reads by name, whatever ids its columns carry."""
    schema = pa.schema(
        [
            pa.field(name, pa.int64(), nullable=False, metadata={"PARQUET:field_id": str(number)})
            for name, number in zip("ab", ids, strict=True)
        ]
    )
    root = files(tmp_path, a=pa.table([[1], [2]], schema=schema), b={"b": [4], "a": [3]})

    assert lf.read_parquet(root).to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


@pytest.mark.parametrize(
    ("first", "then", "options"),
    [
        (pa.int32(), pa.int64(), {}),
        (pa.int64(), pa.float64(), {"union_by_name": True}),
        (pa.string(), pa.int64(), {}),
        (pa.string(), pa.binary(), {"schema": pa.schema([("x", pa.string())])}),
        (pa.decimal128(9, 2), pa.decimal128(9, 3), {}),
    ],
)
def test_types_that_do_not_fit_are_one_error(tmp_path: Path, first: Any, then: Any, options: Any) -> None:
    """A SchemaError with the file, the column and both types; read with the types that fit, it is none."""
    root = files(tmp_path, a={"x": pa.nulls(1).cast(first)}, b={"x": pa.nulls(1).cast(then)})

    with pytest.raises(lf.errors.SchemaError) as caught:
        lf.read_parquet(root, **options)

    assert all(part in caught.value.message for part in ("'x'", "b.parquet", str(first), str(then)))
    if first == pa.int32():
        assert len(lf.read_parquet(root, union_by_name=True)) == 2


def test_a_column_without_a_counterpart_is_refused_once_it_is_wanted(tmp_path: Path) -> None:
    """It doesn't stand in the way of the others."""
    root = files(tmp_path, a={"id": [1], "took": pa.array([5], pa.duration("us"))})

    assert lf.read_parquet(root, columns=["id"], where="id = 1").to_pylist() == [{"id": 1}]
    for options in ({}, {"columns": ["took"]}, {"union_by_name": True}):
        with pytest.raises(UnsupportedError, match=r"'took' of .*a\.parquet"):
            lf.read_parquet(root, **options)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**64 - 1, None], pa.uint64()),
        pa.array([2**32 - 1, None], pa.uint32()),
        pa.array([-128, 127], pa.int8()),
        pa.array(["a", None, "b", "a"]).dictionary_encode(),
        pa.array([1.5, None], pa.float16()),
        pa.array([1, None], pa.time32("ms")),
        pa.array([1000, None], pa.time64("ns")),
        pa.array([1, None], pa.timestamp("s")),
        pa.array([1, None], pa.timestamp("ms", "Europe/Berlin")),
        pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
        pa.array([["a"], None, []], pa.large_list(pa.large_string())),
        pa.array([{"a": 1}, None], pa.struct([("a", pa.uint8())])),
        pa.array([[("k", [1])], None], pa.map_(pa.string(), pa.list_(pa.int8()))),
        pa.array([b"x" * 16, None], pa.uuid()),
        pa.array([None, None]),
    ],
    ids=lambda column: str(column.type),
)
def test_types_that_iceberg_lacks_keep_their_values(tmp_path: Path, column: pa.Array) -> None:
    """Small and unsigned numbers, dictionaries, units, zones, fixed-size lists: every value comes back."""
    root = files(tmp_path, a={"x": column})

    got = lf.read_parquet(root).to_arrow()["x"].to_pylist()

    assert column.to_pylist() == got


def test_nanoseconds_stay_nanoseconds(tmp_path: Path) -> None:
    """What pandas writes loses nothing; a file in microseconds joins it."""
    root = files(tmp_path, a={"x": pa.array([1], pa.timestamp("ns"))}, b={"x": pa.array([1], pa.timestamp("us"))})

    got = lf.read_parquet(root).to_arrow()["x"]

    assert pa.timestamp("ns") == got.type
    assert got.cast(pa.int64()).to_pylist() == [1, 1000]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """There is no telling which is meant."""
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "a.parquet")

    with pytest.raises(UnsupportedError, match="two columns named 'a'"):
        lf.scan_parquet(tmp_path)
