"""Runs that nobody finishes are given up, and what no snapshot has is deleted; nothing else is."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs.outputs import publishing
from lakeflow.runs.state.journal import Journal
from lakeflow_io.errors import FunctionError, InputError, RunAbandonedError, StoreError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

NOW = timedelta(0)


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def smallest_fails(rows: pa.Table) -> pa.Table:
    """All but one shard."""
    if 0 in rows["id"].to_pylist():
        raise ValueError("not now")
    return rows


def run(pair: Any, run_id: str, function: Any = same) -> lf.Run:
    """Over four shards."""
    return lf.foreach(pair.source.scan().shards(n=4), function, into=pair.into, run_id=run_id, engine="serial")


def stopped(pair: Any, run_id: str) -> None:
    """A run that isn't finished."""
    with pytest.raises(FunctionError):
        run(pair, run_id, smallest_fails)


def sealed(pair: Any, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose driver died between its seal and its commit."""

    def refuse(*_: Any) -> Any:
        raise StoreError("The catalog is down.")

    with monkeypatch.context() as patch:
        patch.setattr(publishing.Publisher, "_release", refuse)
        with pytest.raises(StoreError):
            run(pair, run_id)


def test_an_abandoned_run_goes(any_pair: Any, lake: lf.Lake) -> None:
    """Its files and its markers; what others committed stays, and so does what keeps it from beginning again."""
    run(any_pair, "good")
    live = any_pair.files
    stopped(any_pair, "bad")
    left = sorted(set(any_pair.files) - set(live))

    told = lake.collect_runs(older_than=NOW, dry_run=True)
    assert any_pair.files == sorted([*live, *left])
    found = lake.collect_runs(older_than=NOW)

    assert told == found
    assert [(each.run_id, each.table, each.state, each.files) for each in found if each.files] == [
        ("bad", any_pair.into.name, "abandoned", left)
    ]
    assert found[0].bytes > 0
    assert any_pair.files == live
    assert any_pair.state("bad") == ["plan.json", "seal.json", "status.json"]
    assert list(range(40)) == any_pair.written
    with pytest.raises(RunAbandonedError):
        run(any_pair, "bad", smallest_fails)


def test_a_run_that_was_heard_of_stays(pair: Any, embedded: lf.Lake) -> None:
    """By its plan or by its driver."""
    stopped(pair, "r")
    files = pair.files

    assert embedded.collect_runs() == []
    assert embedded.collect_runs(older_than=timedelta(hours=1)) == []
    assert pair.files == files
    with pytest.raises(InputError):
        embedded.collect_runs(older_than=-timedelta(1))


def test_what_losing_attempts_left_goes(pair: Any, embedded: lf.Lake) -> None:
    """Of runs that have committed; their own files stay, also when a later run replaced them."""
    run(pair, "r")
    transport = open_transport({})
    lost = f"{pair.into.location}/data/r-shard-00001-a1-{uuid.uuid4()}.parquet"
    others = [
        f"{pair.into.location}/data/{name}"
        for name in ("r-else.parquet", f"other-shard-00001-a1-{uuid.uuid4()}.parquet", f"r-{uuid.uuid4()}.parquet")
    ]
    for uri in (lost, *others):
        transport.put(uri, b"x")
    lf.foreach(pair.source, same, into=pair.into, mode="overwrite", run_id="r2", engine="serial")
    before = pair.files

    [collected] = embedded.collect_runs(older_than=NOW)

    assert (collected.run_id, collected.state, collected.files, collected.bytes) == ("r", "committed", [lost], 1)
    assert set(before) - set(pair.files) == {lost}
    assert embedded.collect_runs(older_than=NOW) == []
    assert list(range(40)) == pair.written
    assert sorted(pair.into.scan(snapshot=pair.into.snapshots()[0].id).read().to_arrow()["id"].to_pylist()) == list(
        range(40)
    )


def test_files_that_expired_with_their_snapshot_go(pair: Any, embedded: lf.Lake) -> None:
    """No snapshot has them any more."""
    first = run(pair, "r")
    files = pair.files
    lf.foreach(pair.source, same, into=pair.into, mode="overwrite", run_id="r2", engine="serial")
    pair.into.refresh().iceberg.maintenance.expire_snapshots().by_id(first.snapshot_id).commit()

    [collected] = embedded.collect_runs(older_than=NOW)

    assert collected.files == files
    assert list(range(40)) == pair.written


def test_a_sealed_run_waits_for_another_commit(
    pair: Any, embedded: lf.Lake, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver may be just before its commit, which is bound to the table's snapshot: files go once that is another."""
    sealed(pair, "r", monkeypatch)
    files = pair.files

    told = [embedded.collect_runs(older_than=NOW, dry_run=dry)[0].state for dry in (True, False, False)]
    assert (told, pair.files) == (["waiting"] * 3, files)
    with pytest.raises(RunAbandonedError):
        run(pair, "r")
    pair.into.append(numbers(1, 1000))
    [collected] = embedded.collect_runs(older_than=NOW)

    assert (collected.state, collected.files) == ("abandoned", files)
    assert pair.written == [1000]
    with pytest.raises(RunAbandonedError):
        embedded.resume("r")


def test_a_driver_that_commits_while_it_is_given_up(
    pair: Any, embedded: lf.Lake, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asleep between its last look and its commit: that lands, and none of its files goes, or it conflicts."""
    catalog = pair.into.iceberg.catalog
    commit = catalog.commit_table
    states = []

    def late(*arguments: Any) -> Any:
        monkeypatch.undo()
        monkeypatch.setenv("LAKEFLOW_HOME", str(embedded.catalog.properties["warehouse"].removeprefix("file://")))
        states.append(embedded.collect_runs(older_than=NOW)[0].state)
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", late)
    run(pair, "lands")

    assert states == ["waiting"]
    assert embedded.collect_runs(older_than=NOW) == []
    assert list(range(40)) == pair.written

    def later(*arguments: Any) -> Any:
        monkeypatch.undo()
        states.append(embedded.collect_runs(older_than=NOW)[0].state)
        embedded.table(pair.into.name).append(numbers(1, 1000))
        states.append(embedded.collect_runs(older_than=NOW)[0].state)
        return commit(*arguments)

    monkeypatch.setattr(catalog, "commit_table", later)
    with pytest.raises(RunAbandonedError):
        run(pair, "conflicts")

    assert states == ["waiting", "waiting", "abandoned"]
    assert [*range(40), 1000] == pair.written


def test_one_id_in_two_tables(pair: Any, embedded: lf.Lake, namespace: str) -> None:
    """Whose of two runs a file is can't be told where both write into one table: it stays while one is at work."""
    other = embedded.create_table(f"{namespace}.another", pair.into.schema)

    def both(rows: pa.Table) -> dict[str, pa.Table]:
        return {"left": smallest_fails(rows), "right": rows}

    shards = pair.source.scan().shards(n=4)
    with pytest.raises(FunctionError):
        lf.foreach(shards, both, into={"left": other, "right": pair.into}, run_id="r", engine="serial")
    stopped(pair, "r")
    journal = Journal(open_transport({}), f"{pair.into.location}/_lakeflow/runs/r")
    journal.write_status({"state": "running", "updated": 1e12})
    files = pair.files

    [collected] = embedded.collect_runs(older_than=NOW)
    assert (collected.table, {uri.rpartition("/data/")[0] for uri in collected.files}) == (other.name, {other.location})
    assert pair.files == files

    journal.write_status({"state": "interrupted", "updated": 1.0})
    embedded.collect_runs(older_than=NOW)
    assert pair.files == []


@pytest.mark.parametrize("function", [smallest_fails, same])
def test_a_run_into_a_table_and_a_cache(pair: Any, embedded: lf.Lake, tmp_path: Path, function: Any) -> None:
    """Of what it left in the table, the lake knows; the cache removes what is in it itself."""
    cache = lf.Cache("numbers", tmp_path / "caches")
    into = {"table": pair.into, "cache": cache.sink("id")}

    def both(rows: pa.Table) -> dict[str, pa.Table]:
        return dict.fromkeys(("table", "cache"), function(rows))

    published = function is same
    with nullcontext() if published else pytest.raises(FunctionError):
        lf.foreach(pair.source.scan().shards(n=4), both, into=into, run_id="r", engine="serial")
    files = pair.files

    found = embedded.collect_runs(older_than=NOW)

    assert [(each.state, bool(each.files)) for each in found] == ([] if published else [("abandoned", True)])
    assert pair.files == (files if published else [])
    assert len(list(cache.versions())) == published
