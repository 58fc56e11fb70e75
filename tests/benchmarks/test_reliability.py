"""The benchmarks of faults and of memory run, small, so that they can't rot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.faults import content_hash
from benchmarks.memory import BUDGETS_MIB

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """Run the command with arguments; returns its JSON and what it printed."""
    home = tmp_path_factory.mktemp("data")

    def run(*arguments):
        out = home / "out.json"
        command = [sys.executable, "-m", "benchmarks", *arguments, "--scale", "small", "--json", str(out)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAKEFLOW_BENCH_HOME", str(home))
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(out.read_text()), done.stdout

    return run


def test_scans_with_faults_are_exact(benchmark):
    """Each scan gives the hash of the first, clean one; faults were met, and the table says so."""
    result, printed = benchmark("faults", "--scans", "6", "--workloads", "project")

    assert (result["scans"], result["exact"], result["workload"]) == (6, 6, "project")
    assert sum(result["injected"].values()) > 0
    assert "exact: 6 of 6 scans" in printed


def test_budgets_are_measured(benchmark):
    """For each budget the rows are exact, and what was held is told and below it."""
    result, _ = benchmark("memory", "--profile", "none")

    for mib in BUDGETS_MIB:
        found = result["budgets"][f"{mib} MiB"]
        assert found["exact"]
        assert found["peak_mb"] <= mib * 1.048576


def test_a_hash_is_of_the_values():
    """Batches make no difference to it; a value, its place or a null does."""
    whole = pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    others = [
        pa.table({"a": [1, 2, 0], "b": ["x", "y", "z"]}),
        pa.table({"a": [1, None, 2], "b": ["x", "y", "z"]}),
        pa.table({"a": [1, 2, None], "b": ["xy", "", "z"]}),
    ]

    assert content_hash(whole) == content_hash(parts)
    assert len({content_hash(each) for each in [whole, *others]}) == 4
