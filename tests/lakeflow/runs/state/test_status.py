"""`status.json` says how a run is doing, and never stands in its way."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from lakeflow.runs.progress.tally import Tally
from lakeflow.runs.state import status
from lakeflow.runs.state.status import StatusFile, settle_status
from lakeflow_io.errors import FunctionError, RunInterruptedError, StoreError


class Writes:
    """A journal that keeps every status."""

    run_id = "r"

    def __init__(self, error: Exception | None = None) -> None:
        self.kept: list[dict[str, Any]] = []
        self.error = error

    def write_status(self, facts: dict[str, Any]) -> None:
        """Keep it, as JSON does."""
        if self.error:
            raise self.error
        self.kept.append(json.loads(json.dumps(facts)))

    def read(self, name: str) -> dict[str, Any] | None:
        """The last one."""
        assert name == "status.json"
        if self.error:
            raise self.error
        return self.kept[-1] if self.kept else None


def counted() -> Tally:
    """Five of eight shards done, one set aside, one failed for good."""
    tally = Tally([])
    tally.works, tally.bytes_total = 8, 800
    tally.works_done, tally.bytes_done, tally.rows, tally.retries = 5, 500, 35, 2
    tally._running = {"shard-00006": {0}}
    tally._given_up = {"shard-00005": "quarantined", "shard-00007": "raised"}
    return tally


def test_it_is_written_at_the_start_and_at_the_end() -> None:
    """With state, owner, times, and every count."""
    journal = Writes()

    with StatusFile(journal, counted()) as file:
        file.published(40, 1)

    first, last = journal.kept
    assert (first["state"], last["state"]) == ("running", "partial")
    assert first["works"] == {"total": 8, "done": 5, "failed": 1, "quarantined": 1, "running": 1}
    assert (first["rows"], first["bytes_done"], first["bytes_total"], first["retries"]) == (35, 500, 800, 2)
    assert last["works"] == {"total": 8, "done": 7, "failed": 0, "quarantined": 1, "running": 0}
    assert last["rows"] == 40
    assert {"user", "host", "pid"} == first["owner"].keys()
    assert first["started"] == last["started"] <= last["updated"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RunInterruptedError("stopped"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (FunctionError("bad"), "failed"),
        (MemoryError(), "failed"),
    ],
)
def test_it_says_how_a_run_ended(error: BaseException, expected: str) -> None:
    """By what left the run."""
    journal = Writes()

    with pytest.raises(type(error)), StatusFile(journal, counted()):
        raise error

    assert journal.kept[-1]["state"] == expected


@pytest.mark.parametrize("said", [None, "running", "interrupted", "committed"])
def test_a_driver_that_died_after_its_commit_is_put_right(said: str | None) -> None:
    """Whoever finds that a run has committed says so, unless it was said."""
    journal = Writes()
    if said:
        journal.kept.append({"state": said, "started": 7.0, "retries": 2, "rows": 3})

    settle_status(journal, 8, 40, 0)

    assert len(journal.kept) == (2 if said in ("running", "interrupted") else 1)
    assert journal.kept[-1]["state"] == "committed"
    if said in ("running", "interrupted"):
        assert (journal.kept[-1]["started"], journal.kept[-1]["rows"], journal.kept[-1]["works"]["done"]) == (
            7.0,
            40,
            8,
        )


@pytest.mark.parametrize("error", [StoreError("read-only"), ValueError("anything")])
def test_a_store_that_refuses_it_costs_one_warning(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The run goes on, and the log isn't filled."""
    with caplog.at_level(logging.WARNING), StatusFile(Writes(error), counted()):
        pass

    [warning] = caplog.records
    assert str(error) in warning.getMessage()
    settle_status(Writes(error), 8, 40, 0)


def test_it_is_written_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that waits for one long task is known to be alive."""
    monkeypatch.setattr(status, "_SECONDS", 0.001)
    journal = Writes()

    with StatusFile(journal, counted()):
        while len(journal.kept) < 4:
            time.sleep(0.001)

    assert [each["state"] for each in journal.kept[:4]] == ["running"] * 4
