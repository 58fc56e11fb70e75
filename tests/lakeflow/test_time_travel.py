"""A table as it was: by snapshot, by moment, by the name of a branch or tag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import CorruptFileError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf


@pytest.fixture
def table(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Three appends of ten rows each, in each kind of lake; the first is tagged `first`."""
    made = lake.create_table(f"{namespace}.t", numbers(1).schema)
    for start in (0, 10, 20):
        made.append(numbers(10, start))
    made.tag("first", made.snapshots()[0].id)
    return made


def test_a_snapshot_has_three_names(table: lf.Table) -> None:
    """Its id, a tag, and any moment from its commit on until the next one's."""
    first, second, _ = table.snapshots()

    for name in (first.id, "first", first.committed, second.committed - timedelta(milliseconds=1)):
        assert (10, first.id) == (len(table.scan(snapshot=name).read()), table.scan(snapshot=name).snapshot_id)
    assert table.scan(snapshot=second.committed).snapshot_id == second.id


def test_what_is_current_has_names_too(table: lf.Table) -> None:
    """None, `main`, and every moment after the last commit, in any time zone."""
    later = datetime.now(timezone(timedelta(hours=5))) + timedelta(hours=1)

    assert {table.scan(snapshot=name).snapshot_id for name in (None, "main", later)} == {table.snapshot.id}


def test_a_moment_before_the_first_snapshot_has_none(table: lf.Table) -> None:
    """The error tells which moments have one."""
    first = table.snapshots()[0]

    with pytest.raises(NotFoundError, match="nothing was there yet") as caught:
        table.scan(snapshot=first.committed - timedelta(seconds=1))

    assert str(first.id) in str(caught.value.hint)


@pytest.mark.parametrize(
    ("snapshot", "error"),
    [
        ("frist", NotFoundError), (7, NotFoundError), (datetime(2024, 1, 1), InputError), (1.5, InputError),  # noqa: DTZ001
        (True, InputError), (datetime(1990, 1, 1, tzinfo=UTC), NotFoundError), (b"main", InputError),
    ],
)  # fmt: skip
def test_what_names_no_snapshot(table: lf.Table, snapshot: Any, error: type[lf.LakeflowError]) -> None:
    """Each is the caller's mistake, and is told what there is."""
    with pytest.raises(error) as caught:
        table.scan(snapshot=snapshot)

    assert type(caught.value) is error
    assert caught.value.hint


def test_an_unknown_name_is_told_the_closest(table: lf.Table) -> None:
    """`frist` was meant to be `first`."""
    with pytest.raises(NotFoundError, match="did you mean first"):
        table.scan(snapshot="frist")


def test_states_have_their_own_schema_and_branches_the_tables(embedded: lf.Lake, namespace: str) -> None:
    """A tag shows the columns of its time; a branch, which goes on, those of now."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64()), ("name", pa.string())]))
    before = table.append({"id": [1], "name": ["a"]})
    table.tag("then")
    table.branch("audit")
    with table.update_schema() as change:
        change.rename("name", "title").add("year", pa.int32())
    table.append({"id": [2], "title": ["b"], "year": [2000]})

    old = [{"id": 1, "name": "a"}]
    for name in (before.id, before.committed, "then"):
        assert old == table.scan(snapshot=name, where="name = 'a'").read().to_pylist()
    assert table.scan(snapshot="audit", where="title = 'a'").read().to_pylist() == [
        {"id": 1, "title": "a", "year": None}
    ]


def test_a_moment_sees_what_was_current_then_and_not_what_was_rolled_back(table: lf.Table) -> None:
    """The log of what was current decides, not when snapshots were made."""
    _, second, third = table.snapshots()
    table.iceberg.manage_snapshots().rollback_to_snapshot(second.id).commit()
    table.refresh()

    assert table.scan().snapshot_id == second.id
    assert table.scan(snapshot=third.committed).snapshot_id == third.id
    assert table.scan(snapshot=datetime.now(UTC) + timedelta(hours=1)).snapshot_id == second.id


def test_an_empty_table_has_a_main_and_no_past(embedded: lf.Lake, namespace: str, numbers: Any) -> None:
    """`main` is as empty as the table; a moment finds nothing."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)

    assert len(table.scan(snapshot="main").read()) == 0
    with pytest.raises(NotFoundError, match="there are none yet"):
        table.scan(snapshot=datetime.now(UTC))


def test_a_table_that_lost_its_current_snapshot_is_not_empty(table: lf.Table) -> None:
    """Metadata that names a snapshot and hasn't it is damaged."""
    table._table.metadata = table.iceberg.metadata.model_copy(update={"current_snapshot_id": 5})

    with pytest.raises(CorruptFileError, match="current snapshot"):
        table.scan()
