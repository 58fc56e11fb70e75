"""A folder of Parquet files is a table like any other, until it is asked for what only Iceberg has."""

from __future__ import annotations

import inspect
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import lakeflow

import lakeflow as lf
from lakeflow.formats import HiveFormat, IcebergFormat
from lakeflow.scan import read_shard
from lakeflow_io.errors import InputError, NotFoundError, SchemaError, UnsupportedError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = pa.table(
    {
        "id": range(24),
        "text": [f"row {n}" for n in range(24)],
        "year": [2023 + n % 2 for n in range(24)],
        "country": ["DE"] * 8 + ["FR"] * 8 + [None] * 8,
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty-four rows in Hive's layout: two years, three countries, one of them null."""
    pq.write_to_dataset(ROWS, tmp_path / "events", partition_cols=["year", "country"])
    return tmp_path / "events"


@pytest.fixture
def both(folder: Path, embedded: lf.Lake) -> tuple[lf.Table, lf.Table]:
    """The folder as it is, and adopted."""
    return lf.open_table(folder), embedded.adopt(folder, "web.events")


def rows(found: Any) -> list[dict[str, Any]]:
    """In an order of their own."""
    return sorted(found.to_pylist(), key=lambda row: row["id"])


def test_nobody_can_tell_it_from_an_iceberg_table(both: tuple[lf.Table, lf.Table]) -> None:
    """Schema, layout, rows whole, filtered and in shards, and the columns of its metadata are those of its twin."""
    folder, twin = both

    assert type(folder) is type(twin)
    assert folder.schema == twin.schema
    assert folder.partition_by == twin.partition_by == ["year", "country"]
    assert folder.sort_by == twin.sort_by == []
    for where in (None, "year = 2024", "country is null and id > 18", "country = 'FR' or id = 3", "text like 'row 1%'"):
        for columns in (None, ["id"], ["country", "id"]):
            one, other = folder.scan(columns, where), twin.scan(columns, where)
            assert one.schema == other.schema
            assert sorted(map(str, one.read().to_pylist())) == sorted(map(str, other.read().to_pylist()))
            assert [piece.path for piece in one.pieces] == [piece.path for piece in other.pieces]
    for options in ({"n": 4}, {"by": "partition"}, {"target_size": "1 KiB"}):
        cut = [sorted(read_shard(shard)["id"].to_pylist()) for shard in folder.scan().shards(**options)]
        assert sorted(cut) == sorted(
            sorted(read_shard(shard)["id"].to_pylist()) for shard in twin.scan().shards(**options)
        )
    assert len(folder.head(5)) == len(twin.head(5)) == 5
    for name in ("files", "partitions"):
        one, other = getattr(folder, name)(), getattr(twin, name)()
        assert one.schema == other.schema
        assert sizes(one) == sizes(other)


def sizes(table: pa.Table) -> list[tuple[str, int]]:
    """Bytes by partition, of which the one without a value is called as Hive calls it, or as Iceberg does."""
    names = [name.replace("__HIVE_DEFAULT_PARTITION__", "null") for name in table["partition"].to_pylist()]
    return sorted(zip(names, table["bytes"].to_pylist(), strict=True))


def test_what_it_is_at_a_glance(both: tuple[lf.Table, lf.Table], folder: Path) -> None:
    """Files and bytes are counted, rows estimated; of the adopted ones they are known."""
    found, twin = (table.describe() for table in both)

    assert (found.table, found.location, found.format) == (str(folder), f"file://{folder}", "Parquet")
    assert (found.files, found.bytes) == (twin.files, twin.bytes) == (6, sum(p.stat().st_size for p in files(folder)))
    assert (twin.rows, twin.rows_are, found.rows_are) == (24, "exact", "about")
    assert 12 <= found.rows <= 48
    assert (found.snapshots, found.snapshot_id, twin.snapshots) == (None, None, 1)
    exact = lf.open_table(folder, union_by_name=True).describe()
    assert (exact.rows, exact.rows_are) == (24, "exact")


def files(folder: Path) -> list[Path]:
    """Of Parquet."""
    return sorted(folder.rglob("*.parquet"))


# What a folder can do; all else of a table's public face needs snapshots, or writes.
READS = {
    "describe", "files", "head", "location", "name", "partition_by", "partitions", "properties", "refresh", "scan",
    "schema", "sort_by",
}  # fmt: skip
CALLS: dict[str, Any] = {
    "append": ({"id": [1]},), "branch": ("audit",), "delete": ("id = 1",), "drop_branch": ("audit",),
    "drop_tag": ("v1",), "find_run": ("run",), "merge": ({"id": [1]}, "id"), "overwrite": ({"id": [1]},),
    "overwrite_partitions": ({"id": [1]},), "set_properties": ({"a": "b"},), "tag": ("v1",),
    "upsert": ({"id": [1]}, "id"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in dir(lf.Table) if not name.startswith("_") and name not in READS])
def test_what_a_folder_can_not_do_says_what_to_do(folder: Path, name: str, monkeypatch: Any) -> None:
    """One error, from every method and property that there is, before anything is looked at or written."""
    table = lf.open_table(folder)
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(HiveFormat, "refresh", lambda _: pytest.fail("it was listed again"))

    def use() -> Any:
        found = getattr(table, name)
        return found(*CALLS.get(name, ())) if inspect.ismethod(found) else found

    with pytest.raises(InputError, match="is a folder of Parquet files") as caught:
        use()

    assert "lake.adopt(" in str(caught.value.hint)
    assert before == sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda table: table.scan(snapshot="main"),
        lambda table: table.scan(snapshot=7),
        lambda table: table.files("main"),
        lambda table: table.partitions(7),
        lambda table: lf.foreach(table, lambda rows: rows, into=table, engine="serial"),
    ],
)
def test_states_of_the_past_and_outputs_are_refused_too(folder: Path, ask: Callable[[lf.Table], Any]) -> None:
    """A folder has one state, and nothing is written to it."""
    with pytest.raises(InputError, match="is a folder of Parquet files"):
        ask(lf.open_table(folder))


def test_adopting_it_does_what_the_error_says(folder: Path, embedded: lf.Lake) -> None:
    """With the very words of the hint."""
    with pytest.raises(InputError) as caught:
        lf.open_table(folder).append({"id": [1]})

    called = str(caught.value.hint).partition(": ")[2].rstrip(".")
    adopted = eval(called, {"lake": embedded})

    assert len(adopted.scan().read()) == 24


def test_runs_read_it(folder: Path, embedded: lf.Lake) -> None:
    """As an input, of functions and as a table that is shared."""
    table = lf.open_table(folder)
    into = embedded.create_table("web.ids", pa.schema([("id", pa.int64())]))

    def keys(found: pa.Table) -> pa.Table:
        return found.select(["id"])

    run = lf.foreach(table, keys, into=into, run_id="ids-1", engine="threads")
    again = lf.foreach(lf.open_table(folder), keys, into=into, run_id="ids-1", engine="threads")

    assert run.snapshot_id == again.snapshot_id
    assert sorted(row["id"] for row in into.refresh().scan().read().to_pylist()) == list(range(24))


def test_refresh_lists_it_again(folder: Path) -> None:
    """Until then the files are those that were there."""
    table = lf.open_table(folder)
    scan = table.scan()
    pq.write_table(pa.table({"id": [99], "text": ["new"]}), folder / "year=2023" / "country=DE" / "new.parquet")

    assert len(table.scan().read()) == 24
    assert len(table.refresh().scan().read()) == 25
    assert len(scan.read()) == 24


def test_its_partitions_types_and_columns_can_be_told(folder: Path) -> None:
    """As for `scan_parquet`."""
    texts = lf.open_table(folder, hive={"year": pa.string()})
    narrow = lf.open_table(folder, hive=False, schema=pa.schema([("id", pa.int64())]))

    assert texts.schema.field("year").type == pa.string()
    assert texts.scan(where="year = '2024'").read().to_arrow().num_rows == 12
    assert (narrow.schema.names, narrow.partition_by) == (["id"], [])
    with pytest.raises(SchemaError):
        lf.open_table(folder, hive={"country": pa.date32()})


def test_unreadable_columns_are_told_when_they_are_wanted(tmp_path: Path) -> None:
    """A table without them is read."""
    pq.write_table(pa.table({"id": [1], "took": pa.array([1], pa.duration("s"))}), tmp_path / "a.parquet")
    table = lf.open_table(tmp_path)

    assert table.schema.names == ["id"]
    assert table.scan(["id"]).read().to_pylist() == [{"id": 1}]
    with pytest.raises(UnsupportedError, match="took"):
        table.scan()


@pytest.mark.parametrize("log", ["_delta_log/00000000000000000000.json", ".hoodie/hoodie.properties"])
def test_tables_of_other_formats_are_no_folders(folder: Path, log: str) -> None:
    """Not all files of theirs hold rows that are still there."""
    (folder / log).parent.mkdir()
    (folder / log).write_text("{}")

    with pytest.raises(UnsupportedError, match=r"Delta Lake|Hudi"):
        lf.open_table(folder)


def test_an_iceberg_tables_folder_is_never_a_folder_of_files(both: tuple[lf.Table, lf.Table]) -> None:
    """Its metadata says which files count: rows that were deleted don't come back."""
    _, twin = both
    twin.append({"id": [99], "text": ["x"], "year": [2023], "country": ["DE"]})
    twin.delete("id = 99")

    opened = lf.open_table(twin.location)

    assert isinstance(opened._format, IcebergFormat)
    assert rows(opened.scan().read()) == rows(twin.scan().read())
    with pytest.raises(InputError, match="is an Iceberg table"):
        lf.open_table(twin.location, hive=True)


def test_where_nothing_is(tmp_path: Path) -> None:
    """An empty folder is no table; of metadata that was asked for by name nothing else is looked for."""
    for path in (tmp_path, tmp_path / "v1.metadata.json", tmp_path / "a.parquet"):
        with pytest.raises(NotFoundError):
            lf.open_table(path)
    pq.write_table(ROWS, tmp_path / "a.parquet")
    with pytest.raises(NotFoundError, match="no metadata file"):
        lf.open_table(tmp_path, relocate=True)


def test_files_globs_and_folders_with_names_of_files(folder: Path, tmp_path: Path) -> None:
    """A path that `scan_parquet` takes is a table, too."""
    (tmp_path / "spark.parquet").mkdir()
    pq.write_table(ROWS, tmp_path / "spark.parquet" / "part-0.parquet")

    assert len(lf.open_table(tmp_path / "spark.parquet").scan().read()) == 24
    assert len(lf.open_table(tmp_path / "spark.parquet" / "part-0.parquet").scan().read()) == 24
    assert len(lf.open_table(f"{folder}/year=202[4]").scan().read()) == 12
    assert lf.open_table(f"{folder}/year=2024").partition_by == ["year", "country"]


def test_a_folder_in_s3(seaweed: Any, namespace: str) -> None:
    """With storage properties, as tables have them."""
    place, transport = f"s3://plain/{namespace}", open_transport(seaweed.store_properties)
    for day in (1, 2):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"id": [day, day + 10]}), sink)
        transport.put(f"{place}/day=2024-01-0{day}/a.parquet", sink.getvalue().to_pybytes())

    table = lf.open_table(f"{place}/", **seaweed.store_properties)

    assert table.schema.field("day").type == pa.date32()
    assert sorted(table.scan(where="day = '2024-01-02'").read().to_arrow()["id"].to_pylist()) == [2, 12]
    assert table.scan().read().to_arrow()["day"].to_pylist().count(date(2024, 1, 1)) == 2


def test_commands_on_a_folder(folder: Path, capsys: Any) -> None:
    """describe, scan, head and shards, for people and for scripts."""
    path = str(folder)

    facts = json.loads(lakeflow(capsys, "describe", path, "--json")[1])
    assert (facts["format"], facts["rows_are"], facts["snapshots"]) == ("Parquet", "about", [])
    assert [each["name"] for each in facts["columns"]] == ["id", "text", "year", "country"]
    code, out, _ = lakeflow(capsys, "describe", path)
    assert code == 0
    assert "rows          about " in out
    assert "snapshot" not in out
    for part, count in (("files", 6), ("partitions", 6)):
        assert len(lakeflow(capsys, "describe", path, f"--{part}")[1].splitlines()) == count + 1
    assert json.loads(lakeflow(capsys, "scan", path, "--where", "year = 2024", "--json")[1])["rows"] == 12
    assert len(lakeflow(capsys, "head", path, "-n", "3")[1].splitlines()) == 4
    shards = [json.loads(line) for line in lakeflow(capsys, "shards", path, "-n", "3", "--json")[1].splitlines()]
    assert [shard["shard"] for shard in shards] == ["shard-00000", "shard-00001", "shard-00002"]
    assert sum(len(shard["pieces"]) for shard in shards) == 6
    code, out, err = lakeflow(capsys, "shards", path, "--by", "partition")
    assert (code, len(out.splitlines())) == (0, 7)
    assert err.startswith("6 shards, ")


@pytest.mark.parametrize(
    "arguments",
    [("describe", "--snapshots"), ("describe", "--refs"), ("describe", "--manifests"), ("describe", "--history"),
     ("scan", "--snapshot", "main"), ("shards", "--snapshot", "7"), ("describe", "--files", "--snapshot", "7")],
)  # fmt: skip
def test_commands_that_need_snapshots(folder: Path, capsys: Any, arguments: tuple[str, ...]) -> None:
    """The call must be changed, and the message says how."""
    code, _, err = lakeflow(capsys, arguments[0], str(folder), *arguments[1:])

    assert code == 2
    assert "lake.adopt(" in err


def test_commands_on_the_folder_of_an_iceberg_table(both: tuple[lf.Table, lf.Table], capsys: Any) -> None:
    """`scan` and `shards` know it as `describe` and `head` do; a snapshot may be asked for."""
    _, twin = both
    first = twin.snapshot
    assert first is not None
    twin.delete("id < 10")

    counted = [
        json.loads(lakeflow(capsys, "scan", twin.location, *more, "--json")[1])["rows"]
        for more in ((), ("--snapshot", str(first.id)), ("--where", "id < 12"))
    ]

    assert counted == [14, 24, 2]
    assert len(lakeflow(capsys, "shards", twin.location, "-n", "2", "--json")[1].splitlines()) == 2
    assert json.loads(lakeflow(capsys, "describe", twin.location, "--json")[1])["format"] == "Iceberg"
