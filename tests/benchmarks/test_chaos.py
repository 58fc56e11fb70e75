"""Runs that are killed and disturbed at random end with each row once."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import __main__ as command
from benchmarks.chaos import run_chaos
from benchmarks.chaos.check import Found, check_rows
from benchmarks.chaos.job import expected

KILLS = int(os.environ.get("LAKEFLOW_CHAOS_KILLS", "2"))
# So many meet all kinds of disturbances.
ALL_KINDS = 50


@pytest.mark.timeout(1200)  # seconds: what is stuck for 300 is counted, and reported
def test_nothing_is_lost_and_nothing_is_there_twice(tmp_path):
    """Kills of drivers, workers and the scheduler, with disturbed commits, twins and expired snapshots."""
    result = run_chaos(kills=KILLS, seed=20, out=str(tmp_path / "out.json"))

    assert result["clean"], result
    assert result["kills"] >= KILLS
    if KILLS >= ALL_KINDS:
        assert {"kill driver", "kill worker", "kill scheduler", "twins", "lost", "expired snapshots"} <= set(
            result["disturbed"]
        )
    assert json.loads((tmp_path / "out.json").read_text()) == result


class _Catalog:
    """One table with the given rows."""

    def __init__(self, ids: list[int], values: list[int] | None = None, runs: int = 1) -> None:
        numbers = np.array(ids, dtype=np.int64)
        rows = pa.table({"id": numbers, "value": expected(numbers) if values is None else values})
        labels = [SimpleNamespace(summary=SimpleNamespace(additional_properties={"lakeflow.run-id": "r"}))] * runs
        self._table = SimpleNamespace(
            scan=lambda: SimpleNamespace(to_arrow=lambda: rows), metadata=SimpleNamespace(snapshots=labels)
        )

    def load_table(self, _name: str) -> SimpleNamespace:
        return self._table


@pytest.mark.parametrize(
    ("catalog", "kind", "count"),
    [
        (_Catalog([0, 1, 1, 2]), "duplicates", 1),
        (_Catalog([0, 2]), "lost", 1),
        (_Catalog([0, 1, 2], [0, 0, 0]), "corrupt", 2),
        (_Catalog([0, 1, 2, 7]), "corrupt", 1),
        (_Catalog([0, 1, 2], runs=3), "extra_snapshots", 2),
    ],
)
def test_what_goes_wrong_is_found(catalog, kind, count):
    """The check can fail: each kind of fault is counted as what it is."""
    found = Found()
    check_rows(catalog, "t", "r", np.arange(3), 0, found)

    assert vars(found)[kind] == count
    assert not found.clean


def test_the_command_tells_whether_all_was_right(monkeypatch):
    """Faults that were found: the command's status says so."""
    for clean in (True, False):
        monkeypatch.setattr(command, "run_chaos", lambda clean=clean, **_: {"clean": clean})
        monkeypatch.setattr(sys, "argv", ["benchmarks", "chaos", "--kills", "3"])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert bool(ended.value.code) is not clean
