"""Files of deletes that no data file is left for go with the commit that leaves none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow import writing
from lakeflow_io.iceberg.stage import Stager

if TYPE_CHECKING:
    from collections.abc import Callable


def deletes(changed: Any) -> list[str]:
    """Live files of deletes."""
    return changed.table.refresh().iceberg.inspect.delete_files()["file_path"].to_pylist()


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.overwrite([{"id": 1000}]),
        lambda table: table.delete("true"),
        lambda table: table.merge([{"id": 1000}], key="id", not_matched_by_source="delete"),
    ],
    ids=["overwrite", "delete", "merge"],
)
def test_none_is_left_of_a_table_that_is_replaced(small: Any, change: Callable[[Any], Any]) -> None:
    """The summary takes them away from its counts, and what others append isn't touched by them."""
    small.table.delete("id in (3, 23)", mode="merge-on-read")
    assert len(deletes(small)) == 1

    made = change(small.table)

    assert deletes(small) == []
    assert (made.summary["removed-position-deletes"], made.summary["total-delete-files"]) == ("2", "0")
    assert made.summary["total-position-deletes"] == "0"
    small.table.append([{"id": 3}])
    assert 3 in small.table.scan().read().to_arrow()["id"].to_pylist()


def test_they_stay_while_an_older_file_does(small: Any) -> None:
    """Files of 20 and of 10 rows: once both are written anew, no position refers to anything."""
    small.table.delete("id in (3, 23)", mode="merge-on-read")
    small.keep(lambda each: each["id"] not in (3, 23))

    small.table.delete("id = 4")
    small.keep(lambda each: each["id"] != 4)
    assert len(deletes(small)) == 1
    assert len(small.table.scan().read()) == len(small.rows)

    small.table.delete("id = 24")
    small.keep(lambda each: each["id"] != 24)
    small.check()
    assert deletes(small) == []


def test_those_that_apply_stay(small: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Of two files of deletes the older one goes; rows that the newer one deletes stay deleted."""
    small.table.delete("id = 3", mode="merge-on-read")
    small.keep(lambda each: each["id"] != 3)
    small.append([make_row(number) for number in range(40, 45)])
    small.table.delete("id = 41", mode="merge-on-read")
    small.keep(lambda each: each["id"] != 41)
    assert len(deletes(small)) == 2

    small.table.delete("id < 30 and id != 7")
    small.keep(lambda each: each["id"] >= 30 or each["id"] == 7)

    small.check()
    assert len(deletes(small)) == 1


def test_those_that_came_with_a_data_file_stay(
    small: Any, make_row: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions may be those of rows that the same commit added: only of newer files they can't be."""
    original = writing.commit_change

    def with_a_row(table: Any, name: str, change: Any, *rest: Any) -> Any:
        rows = pa.Table.from_pylist([make_row(50)], small.table.schema)
        added = Stager.for_table(table, name).write("more", rows)
        return original(table, name, replace(change, added=[*change.added, *added]), *rest)

    monkeypatch.setattr(writing, "commit_change", with_a_row)
    small.table.delete("id = 3", mode="merge-on-read")
    monkeypatch.undo()

    small.table.delete("id < 30")
    assert len(deletes(small)) == 1
    small.table.delete("id = 50")
    assert deletes(small) == []


def test_an_append_reads_none_of_them(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It removes no file, so no manifest is read."""
    small.table.delete("id = 3", mode="merge-on-read")
    monkeypatch.setattr("lakeflow_io.iceberg.live._read", None)

    small.table.append([{"id": 1000}])

    assert len(deletes(small)) == 1
