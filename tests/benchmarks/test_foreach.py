"""The benchmark of tasks that do nothing, with few of them."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import foreach, foreach_engines
from benchmarks.dask_processes import run_dask
from benchmarks.foreach import run_foreach

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for the tables."""
    monkeypatch.setenv("LAKEFLOW_BENCH_HOME", str(tmp_path / "bench"))
    return tmp_path / "bench"


def test_every_task_runs(tmp_path: Path, home: Path) -> None:
    """As many tasks as are asked for; figures are positive, and reach the file with how memory grew; inputs stay."""
    result = run_foreach(tasks=[2, 10], runs=1, engines=["lakeflow-threads-table"], out=str(tmp_path / "out.json"))

    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(result))
    for count in (2, 10):
        figures = result["tasks"][str(count)]["lakeflow-threads-table"]
        assert figures.get("ran") == count, figures
        assert figures["task_ms"] > 0
    assert result["kb_a_task"].keys() == {"lakeflow-threads-table"}
    assert [each.name for each in home.iterdir()] == ["foreach"]


def test_dask_is_compared_with_bare_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a cluster of processes stands beside `Client.map`: here from one process, on one cluster."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(foreach_engines, "_CORES", 1)
    with run_dask(1) as address:
        monkeypatch.setattr(foreach_engines, "run_dask", lambda _: nullcontext(address))
        monkeypatch.setattr(foreach, "run_process", lambda _, named, task: foreach_engines.measure(named[1], **task))
        result = run_foreach(tasks=[4], runs=1, engines=["lakeflow-dask-shards", "client-map"])

    assert [figures.get("ran") for figures in result["tasks"]["4"].values()] == [4, 4], result
    assert result["vs_bare_dask"]["4"]["lakeflow-dask-shards"] > 0
