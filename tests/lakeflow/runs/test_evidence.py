"""What says that a run has committed: a table property, its snapshot's summary, its own record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.exceptions import CommitFailedException

import lakeflow as lf
from lakeflow.runs.state.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def run(pair: Any, run_id: str = "first") -> lf.Run:
    """Over all of the input."""
    return lf.foreach(pair.source.scan().shards(n=2), same, into=pair.into, run_id=run_id, engine="serial")


def recorded(table: lf.Table) -> dict[str, Any]:
    """The table's properties that are about runs."""
    properties = table.refresh().properties
    return {name: json.loads(text) for name, text in properties.items() if name.startswith("lakeflow.run.")}


def test_the_commit_sets_a_property(any_pair: Any) -> None:
    """In the catalog commit of the snapshot: its id, the plan's digest, rows, and where the run's folder is."""
    made = run(any_pair)

    [(name, record)] = recorded(any_pair.into).items()
    assert name == "lakeflow.run.first"
    assert (made.snapshot_id, made.publication.plan_digest, 40) == (
        record["snapshot"], record["digest"], record["rows"],
    )  # fmt: skip
    assert record["folder"] == f"{any_pair.into.location}/_lakeflow/runs/first"
    assert len(any_pair.into.iceberg.metadata.snapshots) == 1


def test_it_is_found_when_all_else_is_gone(
    pair: Any, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver died before its record, others committed, the snapshot expired: still a no-op."""
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "mark_committed", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(pair)
    snapshot_id = pair.into.refresh().snapshot.id
    pair.into.append(numbers(1, 1000))
    pair.into.iceberg.maintenance.expire_snapshots().by_id(snapshot_id).commit()

    again = run(pair)

    assert (snapshot_id, 0, 40) == (again.snapshot_id, again.ran, again.rows)
    assert [*range(40), 1000] == pair.written
    assert "committed/output.json" in pair.state("first")


def interrupt(*_: Any, **__: Any) -> None:
    """The driver dies here."""
    raise KeyboardInterrupt


def test_a_later_run_drops_it_once_there_is_other_evidence(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table keeps the property of the newest run, and those of runs that haven't recorded their commit."""
    run(pair, "recorded")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "mark_committed", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(pair, "unrecorded")

    run(pair, "newest")

    assert recorded(pair.into).keys() == {"lakeflow.run.unrecorded", "lakeflow.run.newest"}
    assert [run(pair, name).ran for name in ("recorded", "unrecorded", "newest")] == [0, 0, 0]
    assert len(pair.written) == 3 * 40


def test_a_commit_shows_where_the_property_has_been_dropped(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer was lost, a twin recorded the run and a later one dropped the property: its manifests stay."""
    catalog, lost = pair.into.iceberg.catalog, list[Any]()
    commit = catalog.commit_table

    def loses(*arguments: Any) -> Any:
        answer = commit(*arguments)
        if lost:
            return answer
        lost.append(answer)
        with catalog.load_table(pair.into.iceberg.name()).transaction() as change:
            change.remove_properties("lakeflow.run.first")
        raise CommitFailedException("tried again by a proxy")

    monkeypatch.setattr(catalog, "commit_table", loses)
    run(pair)

    assert recorded(pair.into) == {}
    assert list(range(40)) == pair.written


def test_what_is_no_record_is_nobodys(pair: Any) -> None:
    """Somebody else's property of such a name is left alone."""
    pair.into.set_properties({"lakeflow.run.theirs": "[1]", "lakeflow.run.garbled": "{"})

    run(pair)

    properties = pair.into.refresh().properties
    assert (properties["lakeflow.run.theirs"], properties["lakeflow.run.garbled"]) == ("[1]", "{")
    assert list(range(40)) == pair.written
