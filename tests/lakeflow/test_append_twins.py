"""Appends of one run id at one moment: one of them counts, and nothing of the others is left."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow import writing

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

TWINS = 4
SCHEMA = pa.schema([("id", pa.int64()), ("part", pa.int64())])


def data_files(table: lf.Table) -> list[str]:
    """What lies in the table's data folder, live or not."""
    folder = Path(table.location.removeprefix("file://")) / "data"
    return sorted(str(path) for path in folder.rglob("*.parquet"))


def live_files(table: lf.Table) -> list[str]:
    """What the current snapshot names."""
    return sorted(piece.path.removeprefix("file://") for piece in table.refresh().scan().pieces)


def together(append: Callable[[], Any]) -> list[Any]:
    """What each of four threads got, which all begin at one moment."""
    barrier = threading.Barrier(TWINS)
    ended: list[Any] = []

    def twin() -> None:
        barrier.wait()
        try:
            ended.append(append())
        except BaseException as error:  # noqa: BLE001  (whatever it is, the assertion shows it)
            ended.append(error)

    threads = [threading.Thread(target=twin) for _ in range(TWINS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@pytest.mark.parametrize("partition_by", [[], ["part"]])
def test_one_of_four_twins_counts(embedded: lf.Lake, namespace: str, partition_by: list[str]) -> None:
    """All four stage before any commits: one snapshot, which all return, and the files of one."""
    name = f"{namespace}.t"
    table = embedded.create_table(name, SCHEMA, partition_by=partition_by)
    data = pa.table({"id": list(range(9)), "part": [0, 1, 2] * 3}, schema=SCHEMA)

    ended = together(lambda: embedded.table(name).append(slowly(data), run_id="load").id)

    [snapshot] = table.refresh().snapshots()
    assert [snapshot.id] * TWINS == ended
    assert list(range(9)) == sorted(table.scan().read().to_arrow()["id"].to_pylist())
    assert live_files(table) == data_files(table)
    assert len(data_files(table)) == max(1, 3 * len(partition_by))


def slowly(data: pa.Table) -> pa.RecordBatchReader:
    """A stream that gives the other twins the time to begin."""
    pause = threading.Event()

    def batches() -> Any:
        for batch in data.to_batches(max_chunksize=3):
            pause.wait(0.1)
            yield batch

    return pa.RecordBatchReader.from_batches(data.schema, batches())


def test_a_twin_that_was_overtaken_takes_its_files_away(
    embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other commits after this one has staged: deterministic, without a clock."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)
    rows = {"id": [1], "part": [0]}
    original = writing.commit_change
    twin = []

    def after_the_twin(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        twin.append(embedded.table(table.name).append(rows, run_id="load"))
        return original(*arguments, **options)

    monkeypatch.setattr(writing, "commit_change", after_the_twin)

    made = table.append(rows, run_id="load")

    assert [made.id] == [each.id for each in twin] == [each.id for each in table.refresh().snapshots()]
    assert live_files(table) == data_files(table)
    assert len(data_files(table)) == 1


def test_a_commit_of_unknown_outcome_deletes_nothing(
    embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost after the commit landed: the files that readers now see stay."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)
    catalog = table.iceberg.catalog
    commit = catalog.commit_table

    def lose_the_answer(*arguments: Any) -> Any:
        commit(*arguments)
        raise ConnectionResetError("reset")

    monkeypatch.setattr(catalog, "commit_table", lose_the_answer)

    table.append({"id": [1], "part": [0]}, run_id="load")

    monkeypatch.undo()
    assert len(live_files(table)) == 1
    assert live_files(table) == data_files(table)
