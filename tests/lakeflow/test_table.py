"""A table's life: created, appended to, read now and as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pytest

import lakeflow as lf
from lakeflow_io.errors import AlreadyExistsError, FilterError, InputError, LakeflowError, NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


@pytest.fixture
def table(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Two appends of ten rows, in each kind of lake."""
    made = lake.create_table(f"{namespace}.t", numbers(1).schema, partition_by=["bucket(2, id)"], sort_by=["id"])
    made.append(numbers(10))
    made.append(numbers(10, 10))
    return made


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


def test_what_is_appended_is_read(table: lf.Table, numbers: Callable[..., pa.Table]) -> None:
    """All rows with all their values, on any store."""
    assert numbers(20).to_pylist() == table.scan().read().to_arrow().sort_by("id").to_pylist()


def test_each_append_is_a_snapshot(table: lf.Table) -> None:
    """Snapshots come oldest first, each with its parent and its count."""
    first, second = table.snapshots()

    assert (None, first.id, second) == (first.parent_id, second.parent_id, table.snapshot)
    assert [each.summary["added-records"] for each in (first, second)] == ["10", "10"]


def test_an_older_snapshot_is_read_as_it_was(table: lf.Table) -> None:
    """Time travel by id sees the rows of that time."""
    first, second = table.snapshots()

    assert (list(range(10)), list(range(20))) == (
        ids(table.scan(snapshot=first.id)),
        ids(table.scan(snapshot=second.id)),
    )


def test_a_scan_is_pinned(table: lf.Table, numbers: Callable[..., pa.Table]) -> None:
    """What is committed after a scan was made isn't in it."""
    scan = table.scan()
    table.append(numbers(10, 20))

    assert list(range(20)) == ids(scan)


def test_another_writers_rows_are_seen_after_refresh(
    lake: lf.Lake, table: lf.Table, numbers: Callable[..., pa.Table]
) -> None:
    """A table stays as it was opened until it is refreshed."""
    lake.table(table.name).append(numbers(1, 100))

    before = len(table.scan().read())
    after = len(table.refresh().scan().read())

    assert (before, after) == (20, 21)


def test_an_append_with_a_run_id_is_made_once(table: lf.Table, numbers: Callable[..., pa.Table]) -> None:
    """Repeated under one id, it returns the first one's snapshot and writes nothing."""
    first, second = (table.append(numbers(1, 100), run_id="load-1") for _ in range(2))

    assert (first.id, 21) == (second.id, len(table.scan().read()))


def test_columns_and_filters(table: lf.Table) -> None:
    """Columns come in the order asked for; the filter may name others."""
    found = table.scan(columns=["text", "id"], where="half >= 9 and text != 'row 19'").read()

    assert found.schema.names == ["text", "id"]
    assert found.to_pylist() == [{"text": "row 18", "id": 18}]


@pytest.mark.parametrize(("n", "expected"), [(0, 0), (1, 1), (10, 10), (15, 15), (100, 20)])
def test_head_gives_so_many_rows(table: lf.Table, n: int, expected: int) -> None:
    """At most `n`, all there are if fewer."""
    assert expected == len(table.head(n))


def test_a_table_without_rows(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> None:
    """Nothing was ever written: no snapshot, no rows, the schema all the same."""
    table = lake.create_table(f"{namespace}.empty", numbers(1).schema)

    assert (table.snapshot, table.snapshots()) == (None, [])
    assert (0, numbers(1).schema) == (len(table.scan(where="id > 3").read()), table.head().schema)
    assert table.scan().shards(n=4) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: rows,
        lambda rows: rows.to_reader(),
        pl.from_arrow,
        lambda rows: rows.to_pandas(types_mapper=pd.ArrowDtype),
        duckdb.from_arrow,
        lambda rows: rows.to_pydict(),
        lf.DataFrame,
    ],
    ids=["arrow", "reader", "polars", "pandas", "duckdb", "dict", "lakeflow"],
)
def test_anything_with_columns_is_appended(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], make: Any
) -> None:
    """Each kind of frame, a stream and a dict."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)

    table.append(make(numbers(5)))

    assert list(range(5)) == ids(table.scan())


def test_a_scan_is_appended(table: lf.Table, lake: lf.Lake, namespace: str) -> None:
    """A scan of one table streams into another."""
    copy = lake.create_table(f"{namespace}.copy", table.schema)

    copy.append(table.scan(where="id < 5"))

    assert list(range(5)) == ids(copy.scan())


def test_names_are_listed_and_dropped(lake: lf.Lake, table: lf.Table, namespace: str) -> None:
    """A table is in its namespace until it is dropped."""
    listed = (lake.tables(namespace), lake.has_table(table.name), namespace in lake.namespaces())
    lake.drop_table(table.name)

    assert ([table.name], True, True) == listed
    assert (lake.tables(namespace), lake.has_table(table.name)) == ([], False)


def test_names_that_are_wrong(lake: lf.Lake, table: lf.Table, namespace: str) -> None:
    """Taken, missing and malformed names are told apart, with the closest one."""
    with pytest.raises(AlreadyExistsError):
        lake.create_table(table.name, table.schema)
    with pytest.raises(NotFoundError, match=rf"{namespace}\.tt"):
        lake.table(f"{namespace}.tt")
    with pytest.raises(NotFoundError):
        lake.table("nowhere.at_all")
    with pytest.raises(NotFoundError):
        lake.drop_table(f"{namespace}.tt")
    with pytest.raises(NotFoundError):
        lake.tables("nowhere")
    for name in ("t", "", "a.", ".b", None):
        with pytest.raises(InputError):
            lake.table(name)


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"columns": ["idd"]}, NotFoundError, "did you mean id"),
        ({"where": "idd > 3"}, NotFoundError, "idd"),
        ({"where": "id >"}, FilterError, "character"),
        ({"where": "id = 'abc'"}, FilterError, "does not fit"),
        ({"where": ""}, FilterError, "parse"),
        ({"snapshot": 17}, NotFoundError, "17"),
    ],
)
def test_a_wrong_scan_is_refused(
    embedded: lf.Lake,
    namespace: str,
    numbers: Callable[..., pa.Table],
    arguments: Any,
    kind: type[LakeflowError],
    says: str,
) -> None:
    """Before anything is read, with what was wrong."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)

    with pytest.raises(kind) as caught:
        table.scan(**arguments)

    assert says in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{"n": 0}, {"n": -1}, {"n": 2, "target_size": 5}, {"by": "x"}, {"n": 2, "by": "partition"}, {"target_size": "x"}],
)
def test_wrong_shards_are_refused(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], arguments: Any
) -> None:
    """Numbers that make no sense and arguments that contradict each other."""
    scan = embedded.create_table(f"{namespace}.t", numbers(1).schema).scan()

    with pytest.raises(InputError):
        scan.shards(**arguments)


def test_data_that_does_not_fit_changes_nothing(table: lf.Table) -> None:
    """A refused append leaves the snapshot as it was."""
    before = table.snapshot

    with pytest.raises(SchemaError, match="unknown column 'nope'"):
        table.append({"id": [1], "nope": [2]})

    assert before == table.refresh().snapshot
