"""The benchmark of a run's end, on few files: all ways commit the same ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import commit as commit_module
from benchmarks.commit import WAYS, run_commit
from lakeflow.runs.outputs import publishing
from lakeflow_engines.executors.serial import SerialExecutor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_all_ways_commit_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are positive and reach the file; here it is all one process."""
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(publishing, "PACK_FROM_BYTES", publishing.PACK_FROM_BYTES)
    monkeypatch.setattr(commit_module, "run_process", lambda _, __, task: commit_module.commit(task))
    monkeypatch.setattr(commit_module, "Processes", lambda _: SerialExecutor())
    monkeypatch.setattr(commit_module, "_warm", lambda _: None)

    result = run_commit(files=[30], runs=1, out=str(tmp_path / "out.json"))

    row = result["commits"]["30"]
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(result))
    assert [(row[way].get("error"), row[way]["files"]) for way in WAYS] == [(None, 30)] * 3
    assert all(row[way]["driver_cpu_s"] > 0 for way in WAYS)
    assert row["vs_pyiceberg"] > 0
