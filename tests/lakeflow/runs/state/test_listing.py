"""The runs of a lake, told by their folders."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.runs.state.journal import Journal
from lakeflow_io.errors import FunctionError, NotFoundError
from lakeflow_io.storage.object_store import ObjectStoreTransport


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def fails(rows: pa.Table) -> pa.Table:
    """Nothing."""
    raise ValueError(str(rows.num_rows))


def run(pair: Any, run_id: str, function: Any = same) -> None:
    """Over two shards."""
    lf.foreach(pair.source.scan().shards(n=2), function, into=pair.into, run_id=run_id, engine="serial")


def say(pair: Any, run_id: str, **status: Any) -> None:
    """What a driver says of its run."""
    journal = Journal(ObjectStoreTransport({}), f"{pair.into.location}/_lakeflow/runs/{run_id}")
    journal.write_status({"owner": {"user": "u", "host": "h", "pid": 1}, "started": 1.0, **status})


def test_runs_are_listed_with_state_owner_age_and_progress(pair: Any, embedded: lf.Lake) -> None:
    """The newest first; a driver that has been silent for a minute is gone."""
    run(pair, "committed")
    with pytest.raises(FunctionError):
        run(pair, "begun", fails)
    with pytest.raises(FunctionError):
        run(pair, "silent", fails)
    now = time.time()
    works = {"total": 2, "done": 1, "failed": 3, "quarantined": 0, "running": 1}
    say(pair, "begun", state="running", started=now - 100, updated=now - 5, works=works, rows=20)
    say(pair, "silent", state="running", started=now - 200, updated=now - 90, works=works)

    found = {info.run_id: info for info in embedded.runs()}

    assert list(found) == ["committed", "begun", "silent"]
    assert [info.state for info in found.values()] == ["committed", "running", "interrupted"]
    begun = found["begun"]
    assert (begun.table, begun.owner["user"], begun.rows, begun.failed) == (pair.into.name, "u", 20, 3)
    assert begun.progress == 0.5
    assert 100 <= begun.age_seconds < 200
    assert found["committed"].rows == 40
    assert found["committed"].progress == 1.0


def test_a_listing_takes_a_request_a_run(pair: Any, embedded: lf.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one a table for their folders, whatever is in these."""
    for number in range(3):
        run(pair, f"run-{number}")
        say(pair, f"run-{number}", state="committed", updated=2.0)
    asked: list[str] = []
    for name in ("get", "list", "folders"):
        original = getattr(ObjectStoreTransport, name)

        def counted(self: Any, uri: str, original: Any = original, name: str = name) -> Any:
            if "_lakeflow" in uri:
                asked.append(f"{name} {uri.rpartition('/')[2]}")
            return original(self, uri)

        monkeypatch.setattr(ObjectStoreTransport, name, counted)

    found = embedded.runs(pair.into.name)

    assert [info.state for info in found] == ["committed"] * 3
    assert sorted(asked) == ["folders runs", *["get status.json"] * 3]


def test_tables_without_runs_have_none(pair: Any, embedded: lf.Lake) -> None:
    """And what isn't there is said."""
    assert embedded.runs() == embedded.runs([pair.source.name]) == []
    with pytest.raises(NotFoundError):
        embedded.runs("kg.nothing")


def test_runs_on_s3_are_listed(seaweed: Any, namespace: str, numbers: Any) -> None:
    """Folders of a bucket are what its keys have before a slash."""
    lake = lf.connect(**seaweed.catalog_properties)
    table = lake.create_table(f"{namespace}.into", numbers(1).schema)
    for name in ("a", "b"):
        lf.foreach([0], numbers_of, into=table, run_id=name, engine="serial")

    assert {info.run_id for info in lake.runs(table.name)} == {"a", "b"}


def numbers_of(start: int) -> Any:
    """A row."""
    return pa.table({"id": [start], "text": ["t"], "half": [0.5]})
