"""The benchmarks run, so that they can't rot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_read_benchmark_runs_small(tmp_path):
    """Each contender reads every row; the figures have what the table shows."""
    out = tmp_path / "out.json"

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rows", "1000", "--runs", "1", "--json", str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    contenders = json.loads(out.read_text())["contenders"]
    assert set(contenders) == {"lakeflow", "polars", "pyiceberg"}
    assert contenders["lakeflow"]["times_lakeflow"] == 1.0
