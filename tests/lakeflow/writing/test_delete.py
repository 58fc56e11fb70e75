"""Rows that go: files dropped by their metadata, files written anew, positions beside files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import FilterError, InputError, NotFoundError, UnsupportedError
from lakeflow_io.iceberg.live import live_entries

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf


def test_rows_that_match_go(changed: Any) -> None:
    """Of any layout, and no others; those for which the filter is null stay."""
    made = changed.table.delete("id < 5 or kind = 'b' or x >= 6.5")

    changed.keep(lambda each: not (each["id"] < 5 or each["kind"] == "b" or each["x"] >= 6.5))
    changed.check()
    assert made == changed.table.snapshot


@pytest.mark.parametrize("where", ["true", "id >= 0", "kind is null or kind is not null"])
def test_all_rows_go(changed: Any, where: str) -> None:
    """A filter that every row passes leaves an empty table, and no file is written."""
    before = changed.files

    made = changed.table.delete(where)

    assert len(changed.table.scan().read()) == 0
    assert (made.operation, made.summary["total-records"]) == ("delete", "0")
    assert before == changed.files


def test_whole_files_are_dropped_unread(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bounds prove that all rows of a file go, nobody opens it, and the others keep their files."""
    first, second = sorted(small.live, key=lambda path: path not in _first_snapshots(small))
    monkeypatch.setattr("lakeflow_io.iceberg.rewrite.read_batches", _refuse)

    made = small.table.delete("id < 20")

    assert made.operation == "delete"
    assert {second} == small.live
    assert first in small.files


def _first_snapshots(changed: Any) -> set[str]:
    first = changed.table.snapshots()[0].id
    return {piece.path for piece in changed.table.scan(snapshot=first).pieces}


def _refuse(*_arguments: Any, **_options: Any) -> Any:
    raise AssertionError("a data file was read")


def test_a_partitions_value_proves_too(make_table: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Files of an identity partition go whole, without statistics, too."""
    changed = make_table("identity", **{"write.metadata.metrics.default": "none"})
    changed.append([make_row(number) for number in range(30)])
    before = changed.live

    made = changed.table.delete("kind = 'a'")

    changed.keep(lambda each: each["kind"] != "a")
    changed.check()
    assert made.operation == "delete"
    assert changed.live < before


def test_files_without_matches_stay(small: Any) -> None:
    """Only the file in which a row goes is written anew."""
    before = small.live

    small.table.delete("id = 3")

    assert len(before & small.live) == 1


def test_nothing_to_delete_is_no_snapshot(changed: Any) -> None:
    """Neither where bounds tell, nor where rows have to be looked at."""
    before = changed.table.snapshot

    made = [changed.table.delete(where) for where in ("id > 1000", "id = 3 and x = 100.5")]

    assert [before, before] == made
    assert before == changed.table.refresh().snapshot


@pytest.mark.parametrize("layout", ["plain", "identity", "bucket", "day"])
def test_positions_are_left_out_by_readers(
    make_table: Any, make_row: Callable[..., dict[str, Any]], layout: str
) -> None:
    """Merge-on-read writes no data file; pyiceberg, which applies the positions, has the right rows."""
    changed = make_table(layout).append(
        [make_row(number) for number in range(20)], [make_row(number) for number in range(20, 30)]
    )
    before = changed.live

    made = changed.table.delete("id in (0, 7, 19, 29)", mode="merge-on-read")

    changed.keep(lambda each: each["id"] not in {0, 7, 19, 29})
    found = changed.table.iceberg.scan().to_arrow()["id"].to_pylist()
    assert sorted(each["id"] for each in changed.rows) == sorted(found)
    added = changed.files - before
    assert all("-deletes-" in path for path in added)
    facts = {name: int(made.summary.get(name, 0)) for name in ("added-position-deletes", "deleted-records")}
    assert (made.operation, sum(facts.values()), facts["added-position-deletes"] > 0) == ("delete", 4, bool(added))
    assert int(made.summary.get("added-delete-files", 0)) == len(added)


def test_positions_of_files_of_an_older_spec(make_table: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """They are written under the spec of the data file that they are about."""
    changed = make_table("identity").append([make_row(number) for number in range(12)])
    with changed.table.iceberg.update_spec() as update:
        update.remove_field("kind").add_field("at", "month")
    changed.table.refresh()
    changed.append([make_row(number) for number in range(12, 24)])

    changed.table.delete("id in (4, 5, 13)", mode="merge-on-read")

    found = changed.table.iceberg.scan().to_arrow()["id"].to_pylist()
    assert [each for each in range(24) if each not in {4, 5, 13}] == sorted(found)


def test_version_1_has_no_positions(make_table: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """It is refused before anything is written."""
    changed = make_table("plain", 1).append([make_row(1), make_row(2)])
    before = changed.files

    with pytest.raises(UnsupportedError, match="copy-on-write"):
        changed.table.delete("id = 1", mode="merge-on-read")

    assert before == changed.files


@pytest.mark.parametrize(
    ("where", "error"), [("id <", FilterError), ("nothing = 1", NotFoundError), ("id = 'x'", FilterError)]
)
def test_a_wrong_filter_changes_nothing(small: Any, where: str, error: type[Exception]) -> None:
    """It is told before anything is read."""
    with pytest.raises(error):
        small.table.delete(where)

    small.check()


def test_a_wrong_mode_is_told(small: Any) -> None:
    """With the ones there are."""
    with pytest.raises(InputError, match="merge-on-read"):
        small.table.delete("id = 1", mode="fast")


def test_a_double_partition_keeps_its_value(embedded: lf.Lake, namespace: str) -> None:
    """What is written anew into manifests is what was there: 0.1 is no float32."""
    schema = pa.schema([("d", pa.float64()), ("id", pa.int64())])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by=["d"])
    table.append({"d": [0.1, 1e300, 0.25], "id": [1, 2, 3]})

    table.delete("id = 3")
    table.delete("id = 2")

    [entry] = live_entries(table.iceberg, table.iceberg.current_snapshot())
    assert entry.data_file.partition[0] == 0.1
    assert table.scan().read().to_pylist() == [{"d": 0.1, "id": 1}]
