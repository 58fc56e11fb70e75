"""Rows that take the place of others: by a filter, of whole partitions, of the whole table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf


def test_all_rows_are_replaced(changed: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Without a filter, one OVERWRITE snapshot holds the new rows and nothing else."""
    snapshots = len(changed.table.snapshots())

    made = changed.table.overwrite([make_row(100)])

    changed.keep(lambda _: False, make_row(100))
    changed.check()
    assert (made.operation, made.summary["deleted-records"]) == ("overwrite", "30")
    assert len(changed.table.snapshots()) == snapshots + 1


def test_all_rows_go(changed: Any) -> None:
    """Overwritten with a table of no rows, it is empty; the snapshot before still has them."""
    before = changed.table.snapshot

    changed.table.overwrite(changed.table.schema.empty_table())

    assert len(changed.table.scan().read()) == 0
    assert len(changed.table.scan(snapshot=before.id).read()) == 30


def test_rows_that_match_are_replaced(changed: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Those for which the filter is true go, those for which it is null stay."""
    changed.table.overwrite([make_row(1, kind="b")], where="kind = 'a' or id = 4")

    changed.keep(lambda each: not (each["kind"] == "a" or each["id"] == 4), make_row(1, kind="b"))
    changed.check()


def test_where_nothing_matches_rows_are_added(changed: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """A filter that no row passes removes no file."""
    before = changed.live

    changed.table.overwrite([make_row(50)], where="id > 1000")

    changed.keep(lambda _: True, make_row(50))
    changed.check()
    assert before < changed.live


def test_partitions_of_new_rows_are_replaced(
    changed: Any, kind: tuple[str, int, str], make_row: Callable[..., dict[str, Any]]
) -> None:
    """Each partition in which a new row lies loses its others; a table without partitions is one."""
    new = [make_row(200, kind="a", at=make_row(0)["at"]), make_row(201, kind=None, at=make_row(10)["at"])]
    places: dict[str, Callable[[dict[str, Any]], Any]] = {
        "plain": lambda _: 0,
        "identity": lambda each: each["kind"],
        "day": lambda each: each["at"].date(),
    }
    place = places.get(kind[0]) or _bucket(changed.table)

    changed.table.overwrite_partitions(new)

    gone = {place(each) for each in new}
    changed.keep(lambda each: place(each) not in gone, *new)
    changed.check()


def _bucket(table: lf.Table) -> Callable[[dict[str, Any]], int]:
    part = table.iceberg.spec().fields[0]
    transform = part.transform.transform(table.iceberg.schema().find_type(part.source_id))
    return lambda each: transform(each["id"])


def test_partitions_of_an_older_spec_are_looked_into(make_table: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Rows that lie in a replaced partition go, though their files were written under other specs."""
    changed = make_table("bucket").append([make_row(number) for number in range(12)])
    with changed.table.iceberg.update_spec() as update:
        update.remove_field("id_bucket").add_identity("kind")
    changed.table.refresh()
    changed.append([make_row(number) for number in range(12, 24)])

    changed.table.overwrite_partitions([make_row(99, kind="a")])

    changed.keep(lambda each: each["kind"] != "a", make_row(99, kind="a"))
    changed.check()


def test_partitions_are_left_alone_without_rows(small: Any) -> None:
    """No rows lie in no partition: no snapshot is made."""
    before = small.table.snapshot

    made = small.table.overwrite_partitions(small.table.schema.empty_table())

    assert before == made == small.table.refresh().snapshot


def test_an_overwrite_is_made_once(small: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Repeated under one run id, it returns the first one's snapshot and leaves no file."""
    first, second = (small.table.overwrite([make_row(1)], where="id = 1", run_id="load") for _ in range(2))

    assert first == second
    small.keep(lambda each: each["id"] != 1, make_row(1))
    small.check()


@pytest.mark.parametrize("column", ["2024-02-28T00:00:00", "2024-02-29T12:00:00"])
def test_a_column_that_was_added_is_null_in_rows_that_stay(small: Any, column: str) -> None:
    """Files written before a schema change are written anew by the schema of now."""
    from pyiceberg.types import StringType

    moment = dt.datetime.fromisoformat(column)
    with small.table.iceberg.update_schema() as update:
        update.add_column("added", StringType()).rename_column("n", "m")

    small.table.delete(f"at <= '{column}'")

    expected = [
        {**{"m" if name == "n" else name: value for name, value in each.items()}, "added": None}
        for each in small.rows
        if each["at"] > moment
    ]
    found = small.table.scan().read().to_arrow()
    assert sorted(each["id"] for each in expected) == sorted(found["id"].to_pylist())
    assert {None} == set(found["added"].to_pylist())
    assert sorted(each["m"] for each in expected) == sorted(found["m"].to_pylist())
    assert [pa.int32(), pa.string()] == [found.schema.field(name).type for name in ("m", "added")]
