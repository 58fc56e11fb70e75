"""Two writers at one moment, and catalogs that fail in the middle: what is committed, refused, left behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow import writing
from lakeflow_io.errors import CatalogError, CommitConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

Verb = "Callable[[lf.Table], Any]"


@pytest.fixture
def race(embedded: lf.Lake, small: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Let another writer commit when the first one has planned and written, and is about to commit."""

    def run(first: Verb, other: Verb) -> Any:
        original = writing.commit_change

        def after_the_other(*arguments: Any, **options: Any) -> Any:
            monkeypatch.setattr(writing, "commit_change", original)
            other(embedded.table(small.table.name))
            return original(*arguments, **options)

        monkeypatch.setattr(writing, "commit_change", after_the_other)
        return first(small.table)

    return run


CHANGES: dict[str, Verb] = {
    "overwrite": lambda table: table.overwrite([{"id": 1000}], where="id = 3"),
    "delete": lambda table: table.delete("id = 3"),
    "positions": lambda table: table.delete("id = 3", mode="merge-on-read"),
    "upsert": lambda table: table.merge([{"id": 3, "n": -1}], key="id"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_unrelated_append_is_no_conflict(
    race: Callable[..., Any], small: Any, make_row: Callable[..., dict[str, Any]], change: str
) -> None:
    """Rows whose bounds tell that they aren't concerned: the change lies on top of them."""
    race(CHANGES[change], lambda table: table.append([make_row(500)]))

    found = small.table.refresh().iceberg.scan().to_arrow().to_pylist()
    ids = sorted(each["id"] for each in found)
    expected = {"overwrite": [1000], "upsert": [3]}.get(change, [])
    assert sorted([*(each for each in range(30) if each != 3), 500, *expected]) == ids


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "other",
    [
        lambda table: table.append([{"id": 3, "n": 9}]),
        lambda table: table.append([{"id": 2}, {"id": 4}]),
        lambda table: table.overwrite([{"id": 3}]),
        lambda table: table.delete("id = 4"),
        lambda table: table.delete("true"),
    ],
    ids=["the same row", "a file around it", "all", "a neighbour", "empty"],
)
def test_what_concerns_the_same_rows_is_a_conflict(
    race: Callable[..., Any], small: Any, change: str, other: Verb
) -> None:
    """Rows that may match were added, or a file that is changed is gone: the other's commit stays, ours is nothing."""
    with pytest.raises(CommitConflictError, match="another writer"):
        race(CHANGES[change], other)

    assert len(small.table.refresh().snapshots()) == 3
    named = {piece.path for each in small.table.snapshots() for piece in small.table.scan(snapshot=each.id).pieces}
    assert named == small.files


def test_rows_deleted_meanwhile_do_not_come_back(race: Callable[..., Any], small: Any) -> None:
    """Positions of rows were added to a file that is written anew: it would have them again."""
    with pytest.raises(CommitConflictError, match="deletes rows"):
        race(CHANGES["delete"], lambda table: table.delete("id = 4", mode="merge-on-read"))

    found = small.table.refresh().iceberg.scan().to_arrow()["id"].to_pylist()
    assert [each for each in range(30) if each != 4] == sorted(found)


def test_positions_beside_positions_are_no_conflict(race: Callable[..., Any], small: Any) -> None:
    """Two writers delete rows of one file; both are gone."""
    race(CHANGES["positions"], lambda table: table.delete("id = 4", mode="merge-on-read"))

    found = small.table.refresh().iceberg.scan().to_arrow()["id"].to_pylist()
    assert [each for each in range(30) if each not in {3, 4}] == sorted(found)


def test_the_whole_table_conflicts_with_any_row(
    race: Callable[..., Any], make_row: Callable[..., dict[str, Any]]
) -> None:
    """What was added since isn't overwritten unseen."""
    with pytest.raises(CommitConflictError, match="may hold rows"):
        race(lambda table: table.overwrite([make_row(1)]), lambda table: table.append([make_row(500)]))


def test_a_partition_conflicts_with_its_own_rows_only(
    embedded: lf.Lake, make_table: Any, make_row: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of another partition may come meanwhile."""
    changed = make_table("identity").append([make_row(number) for number in range(9)])
    original = writing.commit_change
    other = iter("ba")

    def after_the_other(*arguments: Any, **options: Any) -> Any:
        if arguments[2].operation == "append":  # the other's
            return original(*arguments, **options)
        embedded.table(changed.table.name).append([make_row(50, kind=next(other))])
        return original(*arguments, **options)

    monkeypatch.setattr(writing, "commit_change", after_the_other)

    changed.table.overwrite_partitions([make_row(20, kind="a")])
    with pytest.raises(CommitConflictError):
        changed.table.overwrite_partitions([make_row(21, kind="a")])

    kinds = changed.table.refresh().scan().read().to_arrow()["kind"].to_pylist()
    assert (kinds.count("a"), kinds.count("b")) == (2, 4)


def test_a_table_that_was_rolled_back_is_a_conflict(race: Callable[..., Any], small: Any) -> None:
    """The snapshot that was read isn't an ancestor of the current one any more."""
    first = small.table.snapshots()[0].id

    def roll_back(table: lf.Table) -> None:
        table.iceberg.manage_snapshots().set_current_snapshot(snapshot_id=first).commit()

    with pytest.raises(CommitConflictError, match="history"):
        race(CHANGES["delete"], roll_back)


@pytest.mark.parametrize("change", CHANGES)
def test_an_answer_that_is_lost_is_looked_for(small: Any, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """The commit landed, the connection broke: the snapshot is found, and nothing of it deleted."""
    commit = small.table.iceberg.catalog.commit_table

    def lose_the_answer(*arguments: Any) -> Any:
        commit(*arguments)
        raise ConnectionResetError("reset")

    monkeypatch.setattr(small.table.iceberg.catalog, "commit_table", lose_the_answer)

    CHANGES[change](small.table)

    monkeypatch.undo()
    found = small.table.refresh().iceberg.scan().to_arrow().to_pylist()
    assert len(found) == {"overwrite": 30, "upsert": 30}.get(change, 29)
    assert len(small.table.snapshots()) == 3


@pytest.mark.parametrize("change", CHANGES)
def test_a_catalog_that_is_gone_deletes_nothing(small: Any, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Whether the commit landed isn't known: its files stay, and with them whatever readers see."""
    catalog = small.table.iceberg.catalog
    commit = catalog.commit_table

    def refuse(*_arguments: Any) -> Any:
        raise ConnectionRefusedError("refused")

    def vanish(*arguments: Any) -> Any:
        commit(*arguments)
        monkeypatch.setattr(catalog, "load_table", refuse)
        raise ConnectionResetError("reset")

    monkeypatch.setattr(catalog, "commit_table", vanish)

    with pytest.raises(CatalogError):
        CHANGES[change](small.table)

    monkeypatch.undo()
    found = small.table.refresh().iceberg.scan().to_arrow().to_pylist()
    assert len(found) == {"overwrite": 30, "upsert": 30}.get(change, 29)


@pytest.mark.parametrize("change", CHANGES)
def test_a_refusal_leaves_nothing(small: Any, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """The catalog answers that others were faster, each time: no file and no manifest stays behind."""
    from pyiceberg.exceptions import CommitFailedException

    def refuse(*_arguments: Any) -> Any:
        raise CommitFailedException("busy")

    files, manifests = small.files, small.manifests
    monkeypatch.setattr(small.table.iceberg.catalog, "commit_table", refuse)
    monkeypatch.setattr("lakeflow_io.iceberg.update._BACKOFF_BASE_SECONDS", 0.0)

    with pytest.raises(CommitConflictError, match="faster"):
        CHANGES[change](small.table)

    monkeypatch.undo()
    small.check()
    assert (files, manifests) == (small.files, small.manifests)


def test_twins_that_add_different_rows_all_get_through(embedded: lf.Lake, make_table: Any) -> None:
    """Each upserts a key of its own range, all at one moment; who conflicts tries again, and no row is lost."""
    changed = make_table("identity")
    changed.append(
        [{"id": number, "kind": "abcd"[number // 10], "at": None, "x": None, "n": 0} for number in range(40)]
    )
    barrier = threading.Barrier(4)
    ended: list[Any] = []

    def twin(number: int) -> None:
        table = embedded.table(changed.table.name)
        barrier.wait()
        new = [{"id": 10 * number + each, "n": 1} for each in range(5)]
        try:
            ended.append(_again(lambda: table.merge(new, key="id")))
        except BaseException as error:  # noqa: BLE001  (whatever it is, the assertion shows it)
            ended.append(error)

    threads = [threading.Thread(target=twin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not [each for each in ended if isinstance(each, BaseException)]
    changed.rows = [{**each, "n": int(each["id"] % 10 < 5)} for each in changed.rows]
    changed.check()


def _again(change: Callable[[], Any]) -> Any:
    while True:
        try:
            return change()
        except CommitConflictError:
            continue


def test_compaction_meanwhile_is_told(race: Callable[..., Any], small: Any) -> None:
    """Another writer has put the same rows into other files: a file that is changed is gone, added rows are none."""
    from lakeflow_io.iceberg.change import Change
    from lakeflow_io.iceberg.commit import commit_change
    from lakeflow_io.iceberg.plan import live_files
    from lakeflow_io.iceberg.rewrite import full_spec
    from lakeflow_io.iceberg.stage import Stager

    def compact(table: lf.Table) -> None:
        rows, snapshot = table.scan().read().to_arrow(), table.snapshot.id
        added = Stager.for_table(table.iceberg, table.name).write("compacted", rows)
        change = Change("replace", snapshot, added, live_files(table.iceberg, full_spec(table.iceberg, "t", snapshot)))
        made, _ = commit_change(table.iceberg, table.name, change, {})
        assert (made.summary["total-records"], made.summary["total-data-files"]) == ("30", "1")

    with pytest.raises(CommitConflictError, match="removed by another writer"):
        race(CHANGES["delete"], compact)

    small.check()
    race(lambda table: table.overwrite([{"id": 1000}], where="id > 900"), compact)
    assert len(small.table.refresh().scan().read()) == 31
