"""The benchmark of planning, on few files: every planner finds the same ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import plan, planner
from benchmarks.plan import run_plan
from benchmarks.plan_tables import catalog_properties, plan_table
from benchmarks.processes import run_process

if TYPE_CHECKING:
    from pathlib import Path

FILES = 730


def _mostly_here(python: str, named: list[str], task: dict[str, Any]) -> dict[str, Any]:
    """Run lakeflow in a process of its own, as all are when it counts, and the peers in this one."""
    if named[1] == "lakeflow":
        return run_process(python, named, task)
    try:
        return planner.measure(named[1], task)
    except Exception as error:  # noqa: BLE001  (what isn't installed, what it can't do)
        return {"error": repr(error)}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for the tables."""
    monkeypatch.setenv("LAKEFLOW_BENCH_HOME", str(tmp_path / "bench"))


def test_the_planners_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a day, of a range of ids, and all; figures are positive and reach the file."""
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "")  # so that what a peer sets goes with the test
    monkeypatch.setattr(plan, "run_process", _mostly_here)

    result = run_plan(files=[FILES], runs=1, out=str(tmp_path / "out.json"))

    written = json.loads((tmp_path / "out.json").read_text())
    assert written == json.loads(json.dumps(result))
    for name, expected in (("all", FILES), ("day", 2), ("bounds", 61)):
        planners = result["plans"][f"{FILES} files, {name}"]
        assert planners["lakeflow"]["found"] == planners["pyiceberg"]["found"] == expected
        for figures in planners.values():
            if "error" not in figures:
                assert figures["found"] == expected
                assert figures["cold_s"] > 0
                assert figures["warm_s"] > 0


def test_a_table_is_made_once() -> None:
    """The second call finds it; its catalog names one snapshot of as many files."""
    from pyiceberg.catalog import load_catalog

    folder = plan_table(40)
    made = (folder / "catalog.db").stat().st_mtime_ns

    table = load_catalog("lakeflow", **catalog_properties(plan_table(40))).load_table("bench.planned")

    assert (folder / "catalog.db").stat().st_mtime_ns == made
    assert len(list(table.scan().plan_files())) == 40
