"""Parquet files that are there become a table, as they are."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakeflow as lf
from lakeflow_io.errors import (
    AlreadyExistsError,
    CorruptFileError,
    InputError,
    NotFoundError,
    SchemaError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for files."""
    made = tmp_path / "files"
    made.mkdir()
    return made


def put(path: Path, data: Any, **options: Any) -> Path:
    """Write one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(data if isinstance(data, pa.Table) else pa.table(data), path, **options)
    return path


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


def test_a_folder_becomes_a_table(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """Columns of all files in their widest types; rows as `scan_parquet` reads them; files untouched."""
    put(files / "a.parquet", {"id": pa.array([1, 2], pa.int32()), "s": ["x", None]}, row_group_size=1)
    put(files / "deep" / "b.parquet", {"more": [0.5], "id": pa.array([3], pa.int64())})
    before = {path: path.read_bytes() for path in files.rglob("*.parquet")}

    table = embedded.adopt(files, f"{namespace}.t")

    assert (table.schema.names, table.schema.field("id").type) == (["id", "s", "more"], pa.int64())
    plain = lf.scan_parquet(files, union_by_name=True).read().to_pylist()
    assert sorted(plain, key=lambda row: row["id"]) == table.scan().read().to_arrow().sort_by("id").to_pylist()
    assert before == {path: path.read_bytes() for path in files.rglob("*.parquet")}
    assert (table.files().num_rows, sum(table.files()["rows"].to_pylist())) == (2, 3)
    assert [len(row["split_offsets"]) for row in table.files().sort_by("rows").to_pylist()] == [1, 2]


def test_hive_folders_become_partitions(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """Typed from the paths, null and quoted values included; files are pruned by them, and new rows join."""
    for number, path in enumerate(
        ("year=2020/city=a%2Fb", "year=2021/city=__HIVE_DEFAULT_PARTITION__", "year=2021/city=c")
    ):
        put(files / path / "f.parquet", {"id": [number]})

    table = embedded.adopt(str(files), f"{namespace}.t")
    table.append({"id": [9], "year": [2022], "city": ["d"]})

    assert table.partition_by == ["year", "city"]
    assert table.scan().read().to_arrow().sort_by("id").to_pylist() == [
        {"id": 0, "year": 2020, "city": "a/b"}, {"id": 1, "year": 2021, "city": None},
        {"id": 2, "year": 2021, "city": "c"}, {"id": 9, "year": 2022, "city": "d"},
    ]  # fmt: skip
    assert (len(table.scan(where="city is null").pieces), ids(table.scan(where="city is null"))) == (1, [1])
    assert len(table.scan(where="year = 2021").pieces) == 2
    assert (table.partitions().num_rows, table.iceberg.scan().to_arrow().num_rows) == (4, 4)


def test_types_of_paths_may_be_given_or_paths_ignored(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """As `scan_parquet` has it."""
    put(files / "year=2020" / "f.parquet", {"id": [1]})

    typed = embedded.adopt(files, f"{namespace}.typed", hive={"year": pa.string()})
    plain = embedded.adopt(files, f"{namespace}.plain", hive=False)

    assert typed.scan().read().to_pylist() == [{"id": 1, "year": "2020"}]
    assert (plain.scan().read().to_pylist(), plain.partition_by) == ([{"id": 1}], [])


def test_statistics_prune_what_was_adopted(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """Bounds of each type come from footers, and files are left out by them."""
    columns = {
        "id": ([1, 2], [11, 12]), "i": (pa.array([1, 2], pa.int16()), pa.array([11, 12], pa.int32())),
        "f": ([0.5, 1.5], [10.5, 11.5]), "s": (["a", "b"], ["x", "y"]), "b": ([b"a", b"b"], [b"x", b"y"]),
        "d": ([date(2020, 1, 1)] * 2, [date(2021, 1, 1)] * 2), "flag": ([False] * 2, [True] * 2),
        "t": (pa.array([datetime(2020, 1, 1)] * 2, pa.timestamp("ms")),  # noqa: DTZ001
              pa.array([datetime(2021, 1, 1)] * 2, pa.timestamp("us"))),  # noqa: DTZ001
        "dec": (pa.array([Decimal("1.1")] * 2, pa.decimal128(5, 1)),
                pa.array([Decimal("9.1")] * 2, pa.decimal128(9, 1))),
        "in": ([{"x": 1}, None], [{"x": 11}, {"x": 12}]), "l": ([[1], None], [[], [11]]),
    }  # fmt: skip
    for number in (0, 1):
        put(files / f"{number}.parquet", {name: pair[number] for name, pair in columns.items()})
    table = embedded.adopt(files, f"{namespace}.t")

    for where in (
        "id >= 11", "i = 12", "f > 10", "s >= 'x'", "flag = true", "d > '2020-06-01'", "t > '2020-06-01T00:00:00'",
        "dec > '5.0'",
    ):  # fmt: skip
        scan = table.scan(where=where)
        assert len(scan.pieces) == 1, where
        assert set(ids(scan)) <= {11, 12}
        assert ids(scan)
    upper = table.files().sort_by("path")["upper_bounds"].to_pylist()
    assert [row["id"] for row in upper] == [2, 12]


def test_decimals_and_moments_in_any_physical_type(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """As integers, as bytes, as INT96: no wrong bound, and every row is found."""
    data = pa.table(
        {
            "id": [1, 2],
            "dec": pa.array([Decimal("-1.5"), Decimal("2.5")], pa.decimal128(7, 1)),
            "at": pa.array([datetime(1800, 1, 1), datetime(2024, 1, 1)], pa.timestamp("us")),  # noqa: DTZ001
            "key": pa.array([UUID(int=1).bytes, UUID(int=2).bytes], pa.binary(16)),
        }
    )
    put(files / "a.parquet", data, store_decimal_as_integer=True)
    put(files / "b.parquet", data, use_deprecated_int96_timestamps=True)

    table = embedded.adopt(files, f"{namespace}.t")

    assert len(table.scan().read()) == 4
    assert ids(table.scan(where="dec < '0.0'")) == [1, 1]
    assert ids(table.scan(where="at < '1900-01-01T00:00:00'")) == [1, 1]


def test_a_file_without_rows_is_left_out(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """Its columns count all the same."""
    put(files / "a.parquet", {"id": pa.array([], pa.int64()), "x": pa.array([], pa.string())})
    put(files / "b.parquet", {"id": [1]})

    table = embedded.adopt(files, f"{namespace}.t")

    assert (table.files().num_rows, table.scan().read().to_pylist()) == (1, [{"id": 1, "x": None}])


def with_ids() -> pa.Table:
    """A table whose file carries field ids."""
    return pa.table({"id": [1]}, schema=pa.schema([pa.field("id", pa.int64(), metadata={"PARQUET:field_id": "7"})]))


@pytest.mark.parametrize(
    ("data", "error", "named"),
    [
        ({"u": pa.array([1], pa.uint32())}, UnsupportedError, "uint32"),
        ({"u": pa.array([1], pa.uint8())}, UnsupportedError, "uint8"),
        ({"u": pa.array([1], pa.timestamp("ns"))}, UnsupportedError, "timestamp"),
        ({"u": pa.array([1], pa.time32("ms"))}, UnsupportedError, "time32"),
        ({"u": pa.array([1.5], pa.float16())}, UnsupportedError, "halffloat"),
        ({"u": pa.array([[1]], pa.list_(pa.uint16()))}, UnsupportedError, "uint16"),
        ({"u": pa.array([None], pa.null())}, UnsupportedError, "null"),
        (with_ids(), UnsupportedError, "field ids"),
    ],
)  # fmt: skip
def test_what_other_engines_would_read_otherwise_is_refused(
    embedded: lf.Lake, namespace: str, files: Path, data: Any, error: Any, named: str
) -> None:
    """By name, before there is a table."""
    put(files / "a.parquet", data)
    with pytest.raises(error, match=named) as caught:
        embedded.adopt(files, f"{namespace}.t")

    assert "a.parquet" in str(caught.value)
    assert not embedded.has_table(f"{namespace}.t")


def test_files_that_do_not_fit_together(embedded: lf.Lake, namespace: str, files: Path) -> None:
    """Two types of one column, damage, nothing there, a name that is taken."""
    put(files / "a.parquet", {"id": [1]})
    embedded.adopt(files, f"{namespace}.taken")
    put(files / "b.parquet", {"id": ["x"]})
    (files / "damaged").mkdir()
    (files / "damaged" / "c.parquet").write_bytes(b"PAR1 no PAR1")

    for path, name, error in (
        (files, "t", (SchemaError, CorruptFileError)), (files / "damaged", "t", CorruptFileError),
        (files / "*.parquet", "t", SchemaError), (files / "nowhere", "t", NotFoundError),
        (files / "a.parquet", "taken", AlreadyExistsError), (7, "t", InputError),
    ):  # fmt: skip
        with pytest.raises(error):
            embedded.adopt(path, f"{namespace}.{name}")
    assert embedded.tables(namespace) == [f"{namespace}.taken"]


@pytest.mark.parametrize(("values", "fits"), [([2, 2], True), ([2, 3], False), ([2, None], False), ([3, 3], False)])
def test_a_column_on_the_path_and_in_the_file(
    embedded: lf.Lake,
    namespace: str,
    files: Path,
    values: list[int | None],
    fits: bool,  # noqa: FBT001
) -> None:
    """It is read from the file, so the file's statistics must prove what the path says."""
    put(files / "p=2" / "a.parquet", {"id": [1, 2], "p": values})

    if fits:
        assert ids(embedded.adopt(files, f"{namespace}.t").scan(where="p = 2")) == [1, 2]
        return
    with pytest.raises(SchemaError, match="'p' is on the path"):
        embedded.adopt(files, f"{namespace}.t")


def test_a_failure_leaves_no_table(embedded: lf.Lake, namespace: str, files: Path, monkeypatch: Any) -> None:
    """Where the files can't be committed, the table that was made for them goes again, and the files stay."""
    from lakeflow import lake as module

    def fails(*_: Any) -> None:
        raise CorruptFileError("it broke")

    path = put(files / "a.parquet", {"id": [1]})
    monkeypatch.setattr(module, "commit_change", fails)

    with pytest.raises(CorruptFileError, match="it broke"):
        embedded.adopt(files, f"{namespace}.t")

    assert (embedded.has_table(f"{namespace}.t"), path.exists()) == (False, True)


def test_files_in_s3_are_adopted(seaweed: Any, namespace: str) -> None:
    """Through a REST catalog, from a bucket that its properties open."""
    lake = lf.connect(**seaweed.catalog_properties)
    source = lake.create_table(f"{namespace}.source", pa.schema([("id", pa.int64())]))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [1, 2, 3]}), sink)
    folder = f"{source.location}/data/adopted/day=2024-01-01"
    with source.iceberg.io.new_output(f"{folder}/a.parquet").create() as out:
        out.write(sink.getvalue().to_pybytes())

    table = lake.adopt(f"{source.location}/data/adopted", f"{namespace}.t", hive=True)

    assert ids(table.scan(where="day = '2024-01-01'")) == [1, 2, 3]
