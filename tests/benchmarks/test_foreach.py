"""The benchmark of tasks that do nothing, with few of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.foreach import run_foreach

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for the tables."""
    monkeypatch.setenv("LAKEFLOW_BENCH_HOME", str(tmp_path / "bench"))


def test_every_task_runs(tmp_path: Path) -> None:
    """As many tasks as are asked for; figures are positive, and reach the file with how memory grew."""
    result = run_foreach(tasks=[2, 10], runs=1, engines=["lakeflow-threads-table"], out=str(tmp_path / "out.json"))

    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(result))
    for count in (2, 10):
        figures = result["tasks"][str(count)]["lakeflow-threads-table"]
        assert figures.get("ran") == count, figures
        assert figures["task_ms"] > 0
    assert result["kb_a_task"].keys() == {"lakeflow-threads-table"}


def test_dask_is_compared_with_bare_dask() -> None:
    """A run on a cluster of processes stands beside `Client.map` on another."""
    result = run_foreach(tasks=[4], runs=1, engines=["lakeflow-dask-shards", "client-map"])

    assert [figures.get("ran") for figures in result["tasks"]["4"].values()] == [4, 4], result
    assert result["vs_bare_dask"]["4"]["lakeflow-dask-shards"] > 0
