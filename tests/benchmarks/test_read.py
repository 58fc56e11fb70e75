"""The benchmark of reads runs, small, so that it can't rot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS
from benchmarks.limit import limit_seconds
from benchmarks.report import summary
from benchmarks.stores import Store
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
# The others have packages that only `make bench` installs.
INSTALLED = {"lakeflow", "polars", "pyiceberg", "pyarrow"}
STORE = Store({}, "bench", None, latency_s=0.03, link_bytes_s=500_000_000)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One folder of data for the tests of this file."""
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def benchmark(home, tmp_path, monkeypatch):
    """Run the command with arguments; returns its JSON and what it printed."""

    def run(*arguments):
        monkeypatch.setenv("LAKEFLOW_BENCH_HOME", home)
        out = tmp_path / "out.json"
        small = ["--scale", "small", "--runs", "1", "--warm-ups", "0", "--json", str(out)]
        command = [sys.executable, "-m", "benchmarks", "read", *small, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(out.read_text()), done.stdout

    return run


def test_every_contender_runs_or_says_why_not(benchmark):
    """Each contender's rows are right, or its error is in the figures and in the table."""
    result, printed = benchmark("--profile", "none", "--workloads", "project")

    figures = result["workloads"]["project"]
    assert set(CONTENDERS) == set(figures["contenders"])
    assert {"lakeflow", *figures["peers"]} >= INSTALLED
    assert set(CONTENDERS) == {"lakeflow", *figures["peers"], *figures["errors"]}
    for error in figures["errors"].values():
        assert error[:60] in printed


def test_every_workload_runs(benchmark):
    """Each workload gives the figures that its JSON promises, with the limit beside them."""
    result, _ = benchmark("--profile", "s3", "--contenders", "lakeflow,polars")

    assert list(WORKLOADS) == list(result["workloads"])
    for figures in result["workloads"].values():
        assert figures["errors"] == {}
        for key in ("lakeflow_s", "vs_best_peer", "vs_limit", "peak_rss_mb", "requests", "bytes"):
            assert figures[key] > 0, key
        assert figures["limit"]["seconds"] >= 3 * 0.03
    assert result["workloads"]["filter"]["bytes"] < result["workloads"]["full"]["bytes"]


def test_it_runs_on_seaweedfs(benchmark):
    """On loopback requests aren't counted, and the link is measured."""
    result, _ = benchmark("--profile", "loopback", "--workloads", "project", "--contenders", "lakeflow,pyarrow")

    figures = result["workloads"]["project"]
    assert figures["errors"] == {}
    assert figures["requests"] is None
    assert figures["limit"]["link_bytes_s"] > 0


def test_the_limit_is_its_formula():
    """Round trips, and the longer of what the network and what the processor take."""
    parts = {"decode_cpu_s": 3.0, "network_cpu_s": 1.0, "bytes": 1e9, "measured_link_bytes_s": 4e9}

    slow_link = limit_seconds(parts, 0.03, 100_000_000)
    fast_link = limit_seconds(parts, 0.0, None)

    assert slow_link["seconds"] == pytest.approx(3 * 0.03 + 10)
    assert fast_link["seconds"] == pytest.approx(max(0.25, 4 / fast_link["cores"]))


def test_ratios_are_of_medians():
    """The best peer is the fastest that gave an answer; above 1 is a win."""

    def runs(*walls):
        same = {
            "version": "1",
            "settings": "as it comes",
            "cpu_s": 1,
            "base_rss_mb": 1,
            "peak_rss_mb": 9,
            "result_mb": 5,
            "requests": 3,
        }
        return [{**same, "wall_s": wall, "bytes_sent": 7} for wall in walls]

    figures = summary({"lakeflow": runs(1, 2, 9), "a": runs(3, 3, 3), "b": runs(4), "c": [{"error": "no"}]}, STORE)

    assert (figures["lakeflow_s"], figures["peers"]) == (2, {"a": 3, "b": 4})
    assert (figures["best_peer"], figures["vs_best_peer"], figures["errors"]) == ("a", 1.5, {"c": "no"})
    assert (figures["requests"], figures["bytes"], figures["peak_rss_mb"], figures["result_mb"]) == (3, 7, 9, 5)
