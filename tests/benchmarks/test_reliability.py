"""The benchmarks of faults, of memory and of decoders run, small, so that they can't rot."""

from __future__ import annotations

import pyarrow as pa

from benchmarks.data import dataset
from benchmarks.decode import DECODERS
from benchmarks.faults import content_hash
from benchmarks.tables import truth
from benchmarks.upsert import CASES
from benchmarks.workloads import SCALES, WORKLOADS


def test_scans_with_faults_are_exact(benchmark):
    """Each scan gives the hash of the first, clean one; faults were met, and the table says so."""
    # A hundred requests and more, of which a twentieth is refused: one scan's few may all be lucky.
    result, printed = benchmark("faults", "--scans", "30")

    assert (result["scans"], result["exact"], result["workload"]) == (30, 30, "wide")
    assert result["injected"]["slow_down"] > 0
    assert "exact: 30 of 30 scans" in printed


def test_scans_with_faults_read_the_workloads_rows(benchmark):
    """The condition holds: a thousandth of lineitem, with faults and without."""
    result, _ = benchmark("faults", "--scans", "1", "--workloads", "filter")

    scale, workload = SCALES["small"], WORKLOADS["filter"]
    rows = truth(workload, scale, dataset(workload.dataset, scale)).rows
    assert (result["exact"], result["workload"]) == (1, "filter")
    assert {run["rows"] for run in result["runs"]} == {rows}


def test_budgets_are_measured(benchmark):
    """For a budget the rows are exact, and what was held is told and below it."""
    result, _ = benchmark("memory", "--profile", "none", "--budgets", "64")

    assert list(result["budgets"]) == ["64 MiB"]
    assert result["budgets"]["64 MiB"]["exact"]
    assert result["budgets"]["64 MiB"]["peak_mb"] <= 67


def test_decoders_agree(benchmark):
    """Each decoder gives all rows of lineitem, and the table has a line for it."""
    result, printed = benchmark("decode", "--runs", "1", "--warm-ups", "0")

    assert list(result["decoders"]) == list(DECODERS)
    assert result["rows"] > 100_000
    for name, figures in result["decoders"].items():
        assert figures["result_mb"] > 0
        assert name in printed


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


def test_upserts_are_exact(benchmark):
    """Each kind of key and layout is run, and its table is held against what it ought to be."""
    result, printed = benchmark("upsert")

    assert list(CASES) == list(result["cases"])
    assert all(found["exact"] for found in result["cases"].values())
    assert "exact True" in printed
