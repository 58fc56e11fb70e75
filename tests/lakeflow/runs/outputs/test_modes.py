"""What goes when a run's rows come, and what others may not have done since it was planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_io.errors import CommitConflictError, FilterError, FunctionError, InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """Ids 0 to 5 in three partitions of two."""
    schema = pa.schema([("id", pa.int64()), ("part", pa.int64())])
    made = embedded.create_table(f"{namespace}.t", schema, partition_by="part")
    made.append({"id": list(range(6)), "part": [0, 0, 1, 1, 2, 2]})
    return made


def rows(first: int) -> pa.Table:
    """Two ids of one partition."""
    return pa.table({"id": [first, first + 1], "part": [first % 10] * 2})


def none(_: int) -> pa.Table:
    """No rows at all."""
    return rows(0).slice(0, 0)


def ids(table: lf.Table) -> list[int]:
    """All of the table."""
    return sorted(table.refresh().scan(columns=["id"]).read().to_arrow()["id"].to_pylist())


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"mode": "overwrite"}, []),
        ({"mode": "overwrite", "where": "id > 2"}, [0, 1, 2]),
        ({"mode": "overwrite-partitions"}, [4, 5]),
    ],
)
def test_what_goes(table: lf.Table, options: dict[str, Any], left: list[int]) -> None:
    """Nothing, all rows, those that match, or those of the partitions that get new ones; once."""
    for _ in range(2):
        run = lf.foreach([100, 101], rows, into=table, run_id="r", engine="serial", **options)

    assert ids(table) == [*left, 100, 101, 101, 102]
    assert run.snapshot_id == table.snapshot.id  # type: ignore[union-attr]
    assert len(table.snapshots()) == 2


def test_no_rows_leave_partitions_alone(table: lf.Table) -> None:
    """A run without rows replaces no partition, and has its snapshot all the same."""
    run = lf.foreach([1], none, into=table, mode="overwrite-partitions", engine="serial")

    assert ids(table) == [0, 1, 2, 3, 4, 5]
    assert run.snapshot_id == table.snapshot.id  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["overwrite", "overwrite-partitions"])
def test_what_others_added_since_the_plan_is_not_lost(table: lf.Table, tmp_path: Path, mode: Any) -> None:
    """The run is planned, dies, somebody adds rows that it would replace: its resume refuses, and changes nothing."""
    flag = tmp_path / "flag"

    def fails_once(first: int) -> pa.Table:
        if not flag.exists():
            raise ValueError("not now")
        return rows(first)

    def run() -> lf.Run:
        return lf.foreach([100], fails_once, into=table, mode=mode, run_id="r", engine="serial")

    with pytest.raises(FunctionError):
        run()
    flag.touch()
    table.append({"id": [7], "part": [0]})

    with pytest.raises(CommitConflictError, match="another writer has added") as caught:
        run()
    assert "another run id" in str(caught.value.hint)

    assert ids(table) == [0, 1, 2, 3, 4, 5, 7]


def test_what_others_added_elsewhere_is_kept(table: lf.Table, tmp_path: Path) -> None:
    """Rows of other partitions don't contradict."""
    flag = tmp_path / "flag"

    def fails_once(first: int) -> pa.Table:
        if not flag.exists():
            raise ValueError("not now")
        return rows(first)

    def run() -> lf.Run:
        return lf.foreach([100], fails_once, into=table, mode="overwrite-partitions", run_id="r", engine="serial")

    with pytest.raises(FunctionError):
        run()
    flag.touch()
    table.append({"id": [7], "part": [2]})
    run()

    assert ids(table) == [2, 3, 4, 5, 7, 100, 101]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"mode": "replace"}, InputError),
        ({"where": "id > 2"}, InputError),
        ({"mode": "overwrite-partitions", "where": "id > 2"}, InputError),
        ({"mode": "overwrite", "where": 5}, InputError),
        ({"mode": "overwrite", "where": "nothing > 2"}, lf.LakeflowError),
        ({"mode": "overwrite", "where": "id >"}, FilterError),
        ({"mode": "overwrite", "into": None}, InputError),
        ({"into": {}}, InputError),
        ({"into": {"a b": None}}, InputError),
        ({"into": {"a": 5}}, InputError),
    ],
    ids=str,
)
def test_what_can_not_be_is_refused(table: lf.Table, options: dict[str, Any], error: type[Exception]) -> None:
    """Before anything runs."""
    with pytest.raises(error):
        lf.foreach([1], rows, **{"into": table, "engine": "serial", **options})

    assert len(table.refresh().snapshots()) == 1


def test_one_table_is_one_output(table: lf.Table) -> None:
    """Two outputs of one table would be two snapshots of one run."""
    with pytest.raises(InputError, match="one table twice"):
        lf.foreach([1], rows, into={"a": table, "b": table}, engine="serial")


@pytest.mark.parametrize("value", [{"left": rows(1), "other": rows(2)}, rows(1)], ids=["other name", "frame"])
def test_rows_go_by_name(table: lf.Table, value: Any) -> None:
    """With several outputs the function returns them by name; what isn't is said."""
    with pytest.raises(FunctionError, match="left"):
        lf.foreach([1], lambda _: value, into={"left": table}, engine="serial")


def test_a_name_may_be_left_out(embedded: lf.Lake, namespace: str, table: lf.Table) -> None:
    """It gets no rows, and a snapshot."""
    other = embedded.create_table(f"{namespace}.other", table.schema)

    run = lf.foreach(
        [1, 2], lambda n: {"right": rows(n)} if n == 2 else {}, into={"left": table, "right": other}, engine="serial"
    )

    assert {name: each.rows for name, each in run.publications.items()} == {"left": 0, "right": 2}
    assert ids(other) == [2, 3]
    assert run.rows == 2


def test_partial_runs_say_so(table: lf.Table) -> None:
    """What is set aside is in the snapshot's summary, in `quarantined`, and can be run again."""

    def one_fails(number: int) -> pa.Table:
        if number == 1:
            raise ValueError("no")
        return rows(number)

    def run() -> lf.Run:
        return lf.foreach([1, 12], one_fails, into=table, on_error="quarantine", run_id="r", engine="serial")

    first, again = run(), run()

    summary = table.refresh().snapshot.summary  # type: ignore[union-attr]
    assert (summary["lakeflow.partial"], summary["lakeflow.quarantined"]) == ("true", "item-00000")
    for each in (first, again):
        assert each.partial
        assert each.quarantined["item-00000"].kind == "function"
        assert [work.id for work in each.quarantined_shards] == ["item-00000"]
    assert ids(table) == [0, 1, 2, 3, 4, 5, 12, 13]
    assert first.snapshot_id == again.snapshot_id
