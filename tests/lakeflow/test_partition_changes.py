"""Tables that are partitioned in another way than before, and properties that are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow as lf
from lakeflow_io.errors import InputError, NotFoundError
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.commit import commit_change
from lakeflow_io.iceberg.stage import Stager

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = pa.schema([("id", pa.int64()), ("c", pa.string()), ("ts", pa.timestamp("us", "UTC"))])
BEGIN = datetime(2023, 12, 30, tzinfo=UTC)
TERMS = [
    "id", "c", "bucket(2, id)", "bucket(3, id)", "bucket(4, c)", "truncate(2, id)", "truncate(1, c)", "year(ts)",
    "month(ts)", "day(ts)", "hour(ts)",
]  # fmt: skip


def rows(ids: Sequence[int]) -> pa.Table:
    """Rows whose columns follow from their ids."""
    return pa.table(
        {
            "id": ids,
            "c": [None if each % 5 == 4 else f"{each % 3}-{each}" for each in ids],
            "ts": [BEGIN + timedelta(hours=5 * each) for each in ids],
        },
        schema=SCHEMA,
    )


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


def test_new_files_are_partitioned_in_the_new_way(lake: lf.Lake, namespace: str) -> None:
    """Old files stay as they are; both are read and pruned, in each kind of lake."""
    table = lake.create_table(f"{namespace}.t", SCHEMA, partition_by=["bucket(2, id)"])
    table.append(rows(range(10)))
    table.update_partitions(add=["day(ts)"], drop=["bucket(2, id)"])
    table.append(rows(range(10, 20)))

    assert table.partition_by == ["day(ts)"]
    assert list(range(20)) == ids(table.scan())
    assert ids(table.scan(where="ts >= '2024-01-02T00:00:00+00:00'")) == [15, 16, 17, 18, 19]
    assert len(table.scan(where="ts >= '2024-01-02T00:00:00+00:00'").pieces) == 1
    assert {row["spec_id"] for row in table.partitions().to_pylist()} == {0, 1}


@settings(max_examples=10)  # each makes a lake; longer histories are in writing/test_machine.py
@given(data=st.data(), version=st.sampled_from(["1", "2"]))
def test_any_history_of_partitionings_reads_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, version: str
) -> None:
    """Any terms, added and dropped and added again between appends: each filter finds its rows."""
    home = tmp_path_factory.mktemp("lake")
    lake = lf.connect(type="sql", uri=f"sqlite:///{home}/c.db", warehouse=f"file://{home}")
    begin = data.draw(st.lists(st.sampled_from(TERMS), max_size=2, unique_by=lambda term: term.split("(")[-1][-3:]))
    table = lake.create_table("n.t", SCHEMA, partition_by=begin, properties={"format-version": version})
    end = 0
    for _ in range(data.draw(st.integers(1, 4))):
        size = data.draw(st.integers(1, 4))
        table.append(rows(range(end, end + size)))
        end += size
        now = [term for term in table.partition_by if not term.startswith("void")]
        drop = data.draw(st.lists(st.sampled_from(now), unique=True)) if now else []
        free = [term for term in TERMS if term not in now and not _is_time_twice(term, set(now) - set(drop))]
        table.update_partitions(add=data.draw(st.lists(st.sampled_from(free), max_size=1)), drop=drop)
    table.append(rows(range(end, end + 3)))
    end += 3
    low, text = data.draw(st.integers(0, end)), data.draw(st.sampled_from(["0", "1-1", "2-5"]))

    everything = rows(range(end)).to_pylist()
    moment = (BEGIN + timedelta(hours=5 * low)).isoformat()
    assert list(range(end)) == ids(table.scan())
    assert [row["id"] for row in everything if row["id"] >= low] == ids(table.scan(where=f"ts >= '{moment}'"))
    assert [low] * (low < end) == ids(table.scan(where=f"id = {low}"))
    assert [row["id"] for row in everything if (row["c"] or "") == text] == ids(table.scan(where=f"c = '{text}'"))
    assert [row["id"] for row in everything if row["c"] is None] == ids(table.scan(where="c is null"))
    by_partition = table.scan().shards(by="partition")
    assert end == sum(shard.rows for shard in by_partition) == sum(table.partitions()["rows"].to_pylist())


def _is_time_twice(term: str, now: set[str]) -> bool:
    return term.endswith("(ts)") and any(each.endswith("(ts)") for each in now)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"add": ["c"]}, InputError), ({"add": ["id", "id"]}, InputError), ({"add": ["cube(id)"]}, InputError),
        ({"add": ["year(id)"]}, InputError), ({"add": ["nope"]}, NotFoundError), ({"drop": ["id"]}, NotFoundError),
        ({"drop": ["bucket(3, id)"]}, NotFoundError), ({"add": [7]}, InputError),
    ],
)  # fmt: skip
def test_what_can_not_be_changed(embedded: lf.Lake, namespace: str, change: Any, error: Any) -> None:
    """Nothing is changed."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["c", "bucket(2, id)"])

    with pytest.raises(error):
        table.update_partitions(**change)

    assert table.refresh().partition_by == ["c", "bucket(2, id)"]


def test_partitions_are_dropped_by_either_name(embedded: lf.Lake, namespace: str) -> None:
    """In the words of `partition_by`, however they are spaced, or by the partition's own name."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["c", "bucket(2, id)", "day(ts)"])

    table.update_partitions(drop=["Bucket(2,id)", "ts_day", "c"])

    assert table.partition_by == []


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_is_dropped_and_added_at_once_stays(embedded: lf.Lake, namespace: str, version: str) -> None:
    """It is neither; other terms of the same call come and go."""
    properties = {"format-version": version}
    table = embedded.create_table(
        f"{namespace}.t", SCHEMA, partition_by=["truncate(2, id)", "c"], properties=properties
    )
    before = table.iceberg.spec()

    table.update_partitions(add=["truncate(2, id)"], drop=["truncate(2, id)"])
    assert before == table.iceberg.spec()
    table.update_partitions(add=["day(ts)", "truncate(2, id)"], drop=["truncate(2, id)", "c"])

    assert [term for term in table.partition_by if "void" not in term] == ["truncate(2, id)", "day(ts)"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_partition_by_a_required_column_can_be_dropped(embedded: lf.Lake, namespace: str, version: str) -> None:
    """Format version 1 keeps it as one that is always null: appends, changes, branches and other readers go on."""
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by=["id"], properties={"format-version": version})
    table.append({"id": [1, 2]})
    table.update_partitions(drop=["id"])
    table.append({"id": [3]})
    branch = table.branch("audit")
    branch.append({"id": [4]})
    table.overwrite({"id": [5]}, where="id = 3")
    branch.publish()

    assert ids(table.refresh().scan()) == [1, 2, 4, 5]
    assert sorted(table.iceberg.scan().to_arrow()["id"].to_pylist()) == [1, 2, 4, 5]


def test_a_void_partition_whose_column_is_gone_is_in_nobodys_way(embedded: lf.Lake, namespace: str) -> None:
    """Another engine has dropped it: other columns can still be changed, and partitions replaced."""
    table = embedded.create_table(
        f"{namespace}.t", SCHEMA, partition_by=["c", "id"], properties={"format-version": "1"}
    )
    table.append(rows(range(3)))
    table.update_partitions(drop=["c"])
    with table.iceberg.update_schema() as theirs:
        theirs.delete_column("c")

    with table.update_schema() as change:
        change.add("n", pa.int32())
    table.overwrite_partitions({"id": [1, 3], "n": pa.array([7, 7], pa.int32())})

    found = table.scan(["id", "n"]).read().to_pylist()
    assert sorted((row["id"], row["n"]) for row in found) == [(0, None), (1, 7), (2, None), (3, 7)]


def test_files_staged_for_another_partitioning_keep_theirs(embedded: lf.Lake, namespace: str) -> None:
    """They stand in a manifest of their own spec, on main and on a branch."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["c"])
    table.append(rows(range(3)))
    table.branch("audit")
    first, second = (Stager.for_table(table.iceberg, table.name).write(name, rows(range(5))) for name in "xy")
    embedded.table(table.name).update_partitions(add=["id"], drop=["c"])

    commit_change(table.iceberg, table.name, Change("append", added=first), {})
    commit_change(table.iceberg, table.name, Change("append", added=second, branch="audit"), {})

    assert len(table.refresh().scan().read()) == 8
    assert len(table.scan(snapshot="audit").read()) == 8
    assert {piece.partition_key.partition(":")[0] for piece in table.scan().pieces} == {"0"}


def test_properties_are_set_and_removed(lake: lf.Lake, namespace: str) -> None:
    """Texts, numbers and truth values; None removes; the same again is no commit."""
    table = lake.create_table(f"{namespace}.t", SCHEMA, properties={"old": "1"})
    table.set_properties({"write.target-file-size-bytes": 2**20, "x": True, "old": None})
    location = table.iceberg.metadata_location
    table.set_properties({"x": "true", "gone": None})

    assert location == table.refresh().iceberg.metadata_location
    expected = {"write.target-file-size-bytes": "1048576", "x": "true"}
    assert expected == {name: table.properties.get(name) for name in expected}
    assert "old" not in table.properties


@pytest.mark.parametrize("wrong", [{"format-version": "3"}, {7: "x"}, {"x": [1]}])
def test_properties_that_can_not_be(embedded: lf.Lake, namespace: str, wrong: Any) -> None:
    """The format version isn't set like one, names are text, values plain."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    with pytest.raises(InputError):
        table.set_properties(wrong)
