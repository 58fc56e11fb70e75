"""The benchmark of reads runs, small, so that it can't rot."""

from __future__ import annotations

import sys
from dataclasses import replace

import httpx
import pytest

import benchmarks.__main__ as command
from benchmarks.contenders import CONTENDERS
from benchmarks.limit import limit_seconds
from benchmarks.processes import run_process
from benchmarks.report import print_table, summary
from benchmarks.s3like import S3, Profile
from benchmarks.stores import Store

ONCE = ("--runs", "1", "--warm-ups", "0")
# The others have packages that only `make bench` installs.
INSTALLED = {"lakeflow", "polars", "pyiceberg", "pyarrow"}
MACHINE = {"cpus": 2, "cpu": "x", "memory_mb": 1000, "python": "3", "kernel": "6"}
STORE = Store({}, "bench", None, S3)


def test_every_contender_runs_or_says_why_not(benchmark):
    """Each contender's rows are right, or its error is in the figures and in the table."""
    result, printed = benchmark("read", *ONCE, "--profile", "s3", "--workloads", "project")

    figures = result["workloads"]["project"]
    assert figures["limit"]["seconds"] >= 3 * 0.03
    assert figures["vs_best_peer"] > 0
    assert set(CONTENDERS) == set(figures["contenders"])
    assert {"lakeflow", *figures["peers"]} >= INSTALLED
    assert set(CONTENDERS) == {"lakeflow", *figures["peers"], *figures["errors"]}
    for error in figures["errors"].values():
        assert error[:60] in printed


def test_workloads_have_their_figures(benchmark):
    """Filtered and streamed: the figures that the JSON promises, with the limit beside them."""
    chosen = ["filter", "stream"]  # the others differ from these and `project` in their data alone
    result, _ = benchmark(
        "read", *ONCE, "--profile", "s3", "--contenders", "lakeflow,polars", "--workloads", ",".join(chosen)
    )

    assert list(result["workloads"]) == chosen
    for figures in result["workloads"].values():
        assert figures["errors"] == {}
        for key in ("lakeflow_s", "vs_best_peer", "vs_limit", "peak_rss_mb", "requests", "bytes"):
            assert figures[key] > 0, key
        assert figures["limit"]["seconds"] >= 3 * 0.03
    assert result["workloads"]["filter"]["bytes"] < result["workloads"]["stream"]["bytes"]


def test_it_runs_on_seaweedfs(benchmark):
    """On loopback requests aren't counted, and the link is measured."""
    result, _ = benchmark(
        "read", *ONCE, "--profile", "loopback", "--workloads", "project", "--contenders", "lakeflow,pyarrow"
    )

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


def runs(*walls):
    """What a contender gave in so many runs."""
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


def test_ratios_are_of_medians():
    """The best peer is the fastest that gave an answer; above 1 is a win."""
    figures = summary({"lakeflow": runs(1, 2, 9), "a": runs(3, 3, 3), "b": runs(4), "c": [{"error": "no"}]}, STORE)

    assert (figures["lakeflow_s"], figures["peers"]) == (2, {"a": 3, "b": 4})
    assert (figures["best_peer"], figures["vs_best_peer"], figures["errors"]) == ("a", 1.5, {"c": "no"})
    assert (figures["requests"], figures["bytes"], figures["peak_rss_mb"], figures["result_mb"]) == (3, 7, 9, 5)


def test_a_failure_leaves_the_runs_before_it(capsys):
    """Their median counts, and the error is told beside it."""
    figures = summary({"lakeflow": runs(1, 1, 1), "a": [*runs(4, 6), {"error": "out of luck"}]}, STORE)

    print_table({"profile": "s3", "scale": "small", "runs": 3, "machine": MACHINE, "workloads": {"full": figures}})

    assert (figures["peers"], figures["errors"]) == ({"a": 5}, {"a": "out of luck"})
    assert "of 2 runs, then: out of luck" in capsys.readouterr().out


def test_rounds_have_their_own_luck(server):
    """The profile stays, the seed is the round's."""
    store = Store({}, server.bucket, server, replace(S3, first_byte_ms=1))

    store.begin_round(7)

    found = httpx.get(f"{server.endpoint}/_s3like/profile").json()
    assert Profile(**found) == replace(S3, first_byte_ms=1, seed=7)


ABORT = "sys.stdout.flush()\nos._exit(3)"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (f"""print('loading')\nprint('{{"rows": 1}}')\n{ABORT}""", {"rows": 1}),
        ("print('half a res')\nraise OSError('no disk')", {"error": "OSError: no disk"}),
        ("print('done')", {"error": "ended with status 0, without a result"}),
        (f"print('3')\n{ABORT}", {"error": "ended with status 3, without a result"}),
    ],
)
def test_a_result_is_what_was_printed_last(tmp_path, monkeypatch, script, found):
    """JSON counts however the process ends; anything else is told as the error that it is."""
    (tmp_path / "contending.py").write_text(f"import os, sys\n{script}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert run_process(sys.executable, ["contending"], {}) == found


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--runs 0", "0 is less than 1"),
        ("faults --memory lots", "'lots' is no size"),
        ("faults --workloads full,wide", "faults reads one workload"),
        ("faults --runs 3", "faults has no --runs"),
        ("decode --profile s3", "decode has no --profile"),
    ],
)
def test_options_that_mean_nothing_are_refused(monkeypatch, capsys, arguments, complaint):
    """Before anything is made or run: numbers out of range, and options that a benchmark doesn't have."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments.split()])

    with pytest.raises(SystemExit) as ended:
        command.main()

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(("exact", "status"), [(3, 0), (2, 1)])
def test_rows_that_are_not_exact_are_a_failure(monkeypatch, exact, status):
    """A scan with faults that gave other rows: the command's status says so."""
    monkeypatch.setattr(command, "run_faults", lambda **_: {"scans": 3, "exact": exact})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "faults"])

    with pytest.raises(SystemExit) as ended:
        command.main()

    assert int(ended.value.code) == status
