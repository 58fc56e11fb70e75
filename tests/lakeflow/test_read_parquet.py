"""Plain Parquet reads as pyarrow and Polars read it."""

from __future__ import annotations

import os
import pickle
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.expressions import EqualTo, In, IsNull, NotEqualTo, NotNull

import lakeflow as lf
from lakeflow.scan import read_shard
from lakeflow_io.errors import ConfigError, CorruptFileError, FilterError, InputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

# pyarrow writes an empty text as null's folder, and a folder's name is 255 bytes at most.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
VALUES = {
    "text": (pa.string(), st.one_of(st.none(), TEXTS, st.sampled_from(["a/b", "a b", "100%", "%41", "ä", "x=y", "."]))),
    "int": (pa.int64(), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))),
    "date": (pa.date32(), st.one_of(st.none(), st.dates(date(1, 1, 1)))),
}


def rows(table: pa.Table) -> list[Any]:
    """Rows in an order of their own, columns in the order of the names."""
    return sorted(map(repr, table.select(sorted(table.column_names)).to_pylist()))


def files(root: Path, **tables: Any) -> Path:
    """A folder of files; `__` in a name is a slash."""
    for name, table in tables.items():
        path = root.joinpath(*name.split("__")).with_suffix(".parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path)
    return root


@pytest.fixture
def years(tmp_path: Path) -> Path:
    """Two years of two months, three rows each."""
    table = pa.table({"year": [y for y in (2023, 2024) for _ in range(6)], "month": [1, 1, 1, 2, 2, 2] * 2,
                      "id": list(range(12))})  # fmt: skip
    pq.write_to_dataset(table, tmp_path / "t", partition_cols=["year", "month"])
    return tmp_path / "t"


@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)))
def test_hive_folders_read_as_pyarrow_and_polars_read_them(data: st.DataObject, kind: str, tmp_path: Path) -> None:
    """Any values, written by pyarrow: three readers agree on every row, null and type."""
    type_, values = VALUES[kind]
    keys = data.draw(st.lists(values, min_size=1, max_size=8))
    root = tmp_path / os.urandom(8).hex()
    pq.write_to_dataset(
        pa.table({"k": pa.array(keys, type_), "id": range(len(keys))}), root, partition_cols=["k"], max_partitions=99
    )
    theirs = ds.dataset(root, schema=pa.schema([("id", pa.int64()), ("k", type_)]), partitioning="hive").to_table()
    polars = pl.read_parquet(root, hive_partitioning=True, hive_schema={"k": pl.String})

    ours = lf.read_parquet(root, hive={"k": type_}).to_arrow()

    assert pa.schema([("id", pa.int64()), ("k", type_)]) == ours.schema
    assert rows(pa.table({"id": range(len(keys)), "k": pa.array(keys, type_)})) == rows(ours) == rows(theirs)
    texts = pa.table({"id": ours["id"], "k": ours["k"].cast(pa.string())})
    assert rows(texts) == rows(polars.to_arrow().cast(texts.schema))


@given(data=st.data(), kind=st.sampled_from(sorted(VALUES)))
def test_partitions_are_pruned_exactly(data: st.DataObject, kind: str, tmp_path: Path) -> None:
    """Of a predicate on a partition column, just the files whose value passes are left, nulls included."""
    type_, values = VALUES[kind]
    keys = data.draw(st.lists(values, min_size=1, max_size=8, unique=True))
    some = data.draw(st.sampled_from(keys)) or data.draw(values.filter(lambda value: value is not None))
    some = str(some) if isinstance(some, date) else some
    predicate, passes = data.draw(
        st.sampled_from(
            [
                (EqualTo("k", some), lambda k: k is not None and str(k) == str(some)),
                (NotEqualTo("k", some), lambda k: k is not None and str(k) != str(some)),
                (In("k", [some]), lambda k: k is not None and str(k) == str(some)),
                (IsNull("k"), lambda k: k is None),
                (NotNull("k"), lambda k: k is not None),
            ]
        )
    )
    root = tmp_path / os.urandom(8).hex()
    table = pa.table({"k": pa.array(keys, type_), "id": range(len(keys))})
    pq.write_to_dataset(table, root, partition_cols=["k"], max_partitions=99)

    scan = lf.scan_parquet(root, where=predicate, hive={"k": type_})

    expected = [number for number, key in enumerate(keys) if passes(key)]
    assert len(expected) == len(scan.pieces)
    assert expected == sorted(scan.read().to_arrow()["id"].to_pylist())


def test_a_pruned_file_is_never_opened(years: Path) -> None:
    """What the path rules out may be anything, also where the predicate says more than the path knows."""
    for path in (years / "year=2023").rglob("*.parquet"):
        path.write_bytes(b"not Parquet at all")
    asked = pa.schema([("id", pa.int64())])

    found = lf.read_parquet(years, schema=asked, where="(year = 2024 and id > 7) or (year > 2024 and id = 1)")

    assert sorted(found.to_arrow()["id"].to_pylist()) == [8, 9, 10, 11]


def test_a_partition_read_alone_keeps_its_column(years: Path) -> None:
    """`t/year=2024/` has a year; so has one file in it, and a glob."""
    [file] = (years / "year=2024" / "month=1").iterdir()
    expected = [{"id": n, "year": 2024, "month": 1} for n in (6, 7, 8)]

    for path in (years / "year=2024" / "month=1", file, years / "*=2024" / "month=1", f"{years}/**/year=2024/month=1"):
        assert expected == lf.read_parquet(path).to_pylist()
    assert lf.read_parquet(file, hive=False).schema.names == ["id"]
    assert len(lf.read_parquet([years / "year=2024", years / "year=2023"])) == 12


@pytest.mark.parametrize("columns", [["year"], ["month", "id"], ["id"], "year"])
def test_columns_come_in_the_order_asked_for(years: Path, columns: Any) -> None:
    """Partition columns alone, too, for which no column of a file is needed."""
    names = [columns] if isinstance(columns, str) else columns
    expected = ds.dataset(years, partitioning="hive").to_table(columns=names)

    got = lf.read_parquet(years, columns=columns).to_arrow()

    assert names == got.column_names
    assert rows(expected) == rows(got)


def test_the_path_wins_over_a_column_of_the_file(tmp_path: Path) -> None:
    """As in pyarrow, Polars and DuckDB; the column keeps its place among the file's."""
    root = files(tmp_path, **{"k=1__a": {"k": pa.array([9, 9], pa.int32()), "id": [1, 2]}})

    got = lf.read_parquet(root)

    assert [{"k": 1, "id": 1}, {"k": 1, "id": 2}] == got.to_pylist() == pl.read_parquet(root).to_dicts()
    assert got.schema.names == ["k", "id"]
    assert lf.read_parquet(root, hive=False).to_pylist() == [{"k": 9, "id": 1}, {"k": 9, "id": 2}]
    assert len(lf.read_parquet(root, where="k = 9")) == 0


def test_shards_give_each_row_once(years: Path) -> None:
    """Cut by count, size or partition, and pickled on the way."""
    scan = lf.scan_parquet(years, where="id != 5")
    expected = rows(scan.read().to_arrow())

    for options in ({"n": 1}, {"n": 3}, {"n": 99}, {"target_size": 1}, {"by": "partition"}):
        shards = pickle.loads(pickle.dumps(scan.shards(**options)))
        assert expected == rows(pa.concat_tables([read_shard(shard) for shard in shards]))
    shards = scan.shards(by="partition")
    assert [f"year={y}/month={m}" for y in (2023, 2024) for m in (1, 2)] == [shard.partition for shard in shards]
    assert shards == scan.shards(by="partition")


def test_a_large_file_is_cut_between_row_groups(tmp_path: Path) -> None:
    """Whichever of the files it is: the footers that this needs are read when shards are made."""
    small, large = pa.table({"id": [0]}), pa.table({"id": range(1, 10_001)})
    files(tmp_path, a=small)
    pq.write_table(large, tmp_path / "b.parquet", row_group_size=1000)

    shards = lf.scan_parquet(tmp_path).shards(n=4)

    parts = [read_shard(shard)["id"].to_pylist() for shard in shards]
    assert len(parts) == 4
    assert list(range(10_001)) == sorted(each for part in parts for each in part)
    assert max(map(len, parts)) <= 4000


def test_a_scan_is_what_was_there(years: Path) -> None:
    """Files that come later are not in it."""
    scan = lf.scan_parquet(years)
    files(years, **{"year=2025__month=1__a": {"id": [99]}})

    assert 12 == len(scan.read()) == sum(batch.num_rows for batch in scan.batches()) == len(scan.to_reader().read_all())
    assert scan.snapshot_id is None
    assert len(lf.read_parquet(years)) == 13


def test_foreach_reads_folders(years: Path, embedded: lf.Lake, namespace: str) -> None:
    """Shards of a folder are shards: a run over them commits once."""

    def double(rows: pa.Table) -> pa.Table:
        return rows.select(["id", "year"])

    into = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64()), ("year", pa.int64())]))
    shards = lf.scan_parquet(years).shards(n=2)

    for _ in range(2):
        lf.foreach(shards, double, into=into, run_id="r1", engine="serial")

    assert list(range(12)) == sorted(into.refresh().scan().read().to_arrow()["id"].to_pylist())


def test_memory_is_a_store(numbers: Any) -> None:
    """What was put into the process's memory reads like any store."""
    from lakeflow_io.storage import open_transport

    sink = pa.BufferOutputStream()
    pq.write_table(numbers(3), sink)
    open_transport({}).put("memory://tests/plain/k=1/a.parquet", sink.getvalue().to_pybytes())

    assert len(lf.read_parquet("memory://tests/plain", where="k = 1")) == 3


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1", b"text that is long enough" * 10, b"PAR1" * 10])
def test_what_is_not_parquet_is_said_to_be(tmp_path: Path, content: bytes) -> None:
    """A CorruptFileError that names the file, as the first file and as a later one."""
    files(tmp_path, a={"id": [1]})
    (tmp_path / "b.parquet").write_bytes(content)

    for read in (lambda: lf.read_parquet(tmp_path), lambda: lf.read_parquet(tmp_path / "b.parquet")):
        with pytest.raises(CorruptFileError, match=r"b\.parquet"):
            read()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"columns": ["nope"]}, NotFoundError, "nope"),
        ({"columns": []}, InputError, "columns"),
        ({"where": "nope = 1"}, NotFoundError, "nope"),
        ({"where": "year = 'x'"}, FilterError, "year"),
        ({"hive": {"day": pa.int32()}}, NotFoundError, "day"),
        ({"schema": pa.schema([])}, InputError, "schema="),
        ({"schema": {"id": pa.int64()}}, InputError, "schema="),
        ({"schema": pa.schema([("a", pa.int64()), ("a", pa.int64())])}, InputError, "twice"),
        ({"schema": pa.schema([("a", pa.int64())]), "union_by_name": True}, InputError, "contradict"),
        ({"column": ["id"]}, ConfigError, "column="),
        ({"endpoint": "http://x"}, ConfigError, "endpoint="),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(years: Path, options: Any, error: type[Exception], said: str) -> None:
    """Before anything but the first footer is read; a mistyped option is no storage property."""
    with pytest.raises(error, match=said):
        lf.scan_parquet(years, **options)


@pytest.mark.parametrize("path", [[], 5, [5], None, "a\0b", ["a", "s3://bucket/\0"]])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """Nothing and numbers."""
    with pytest.raises(InputError):
        lf.scan_parquet(path)


def test_union_by_name_is_yes_or_no(tmp_path: Path) -> None:
    """A list of names isn't."""
    with pytest.raises(InputError, match="union_by_name"):
        lf.scan_parquet(tmp_path, union_by_name=["id"])  # type: ignore[arg-type]


def test_an_empty_folder_is_a_not_found_error(tmp_path: Path) -> None:
    """So is one that isn't there."""
    for path in (tmp_path, tmp_path / "nope", tmp_path / "*.parquet"):
        with pytest.raises(NotFoundError, match="No files"):
            lf.scan_parquet(path)


def test_a_copy_of_a_scan_is_cut_into_the_same_shards(tmp_path: Path) -> None:
    """What another process gets splits a large file where the original does, and prunes folders, too."""
    big = pa.table({"id": list(range(40_000))})
    (tmp_path / "k=1").mkdir()
    pq.write_table(big, tmp_path / "k=1" / "a.parquet", row_group_size=10_000)
    scan = lf.scan_parquet(tmp_path)

    copy = pickle.loads(pickle.dumps(scan))

    assert [shard.pieces for shard in copy.shards(2)] == [shard.pieces for shard in scan.shards(2)]
    assert len(copy.shards(2)) == 2
    assert copy.where("k = 2").pieces == []


def test_a_column_may_be_named_as_the_reader_names_its_own(tmp_path: Path) -> None:
    """No name is the reader's alone."""
    table = pa.table({"row": [1, 2], "rowrow": [3, 4], "\0row": [5, 6]})
    root = files(tmp_path, a=table)

    assert lf.read_parquet(root, where="row = 2").to_arrow().to_pylist() == [{"row": 2, "rowrow": 4, "\0row": 6}]
