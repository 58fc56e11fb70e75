"""The benchmark of caches, with few rows: every part of lakeflow's, and every peer that is installed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.__main__ import main
from benchmarks.cache import PARTS, http, run, run_cache, torn
from benchmarks.cache.contenders import lakeflow
from benchmarks.cache.figures import ratios
from benchmarks.cache.measure import measure
from benchmarks.cache.parts import Task

ROOT = Path(__file__).parents[2]
PEERS = {
    "lakeflow_rows": [],
    "lmdb": ["lmdb", "msgpack"],
    "rocksdict": ["rocksdict", "msgpack"],
    "valkey": ["redis", "hiredis", "msgpack"],
}


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in this process, one worker, few requests, and a folder of its own for the data."""
    monkeypatch.setenv("LAKEFLOW_BENCH_HOME", str(tmp_path / "bench"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(lakeflow, "_WORKERS", 1)
    monkeypatch.setattr(torn, "_READERS", 1)
    monkeypatch.setattr(torn, "_PUBLISHES", 3)
    monkeypatch.setattr(http, "_GETS", 100)
    monkeypatch.setattr(http, "_BATCHES", 10)
    monkeypatch.setattr(http, "_WORKERS", 1)
    monkeypatch.setattr(run, "run_process", lambda _, named, task: measure(named[1], named[2], Task(**task)))


# Two of its parts start processes that read, one a cluster, one two servers.
def test_every_part_of_lakeflow(tmp_path: Path) -> None:
    """Each part has its figures; those that the JSON must have are in it, and nothing is torn."""
    pytest.importorskip("granian")
    parts = [part for part, each in PARTS.items() if "lakeflow" in each.of]

    result = run_cache(rows=300, runs=1, contenders=["lakeflow", "ipc"], parts=parts, out=str(tmp_path / "out.json"))

    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(result))
    found = result["contenders"]["lakeflow"]
    assert list(found) == parts
    assert [part for part, figures in found.items() if not all(name in figures for name in PARTS[part].figures)] == []
    assert (result["torn_reads"], found["torn"]["publishes"]) == (0, 3)
    compared = {"load_vs_ipc"} | {name for name in ratios({}) if "vs" not in name and not name.startswith("cold_rows")}
    assert {name for name in ratios({}) if result[name] is not None} == compared


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_reads_what_was_loaded(peer: str) -> None:
    """Rows are compared with the loaded ones; one key, many and cold have their figures."""
    for package in PEERS[peer]:
        pytest.importorskip(package)
    parts = ["load", "get", "get_many", "cold", "torn"]

    result = run_cache(rows=300, runs=2, contenders=[peer], parts=parts)

    chosen = [part for part in parts if peer in PARTS[part].of]
    assert list(result["contenders"][peer]) == chosen
    assert all(len(result["contenders"][peer][part]["runs"]) == 2 for part in chosen)


def test_ratios_say_how_much_better() -> None:
    """Above 1 lakeflow is better, but beside a plain file, where it is how many times as long it takes."""
    ours = {
        "load": {"rows_per_s": 600, "wall_s": 4},
        "get_many": {"p50_ms": 1},
        "push": {"rows_per_s": 90},
        "http": {"requests_per_s": 30},
    }
    valkey = {"load": {"rows_per_s": 30}, "get_many": {"p50_ms": 2}, "http": {"requests_per_s": 10}}
    lmdb = {"load": {"rows_per_s": 200}, "get_many": {"p50_ms": 3}}

    found = ratios({"lakeflow": ours, "valkey": valkey, "lmdb": lmdb, "ipc": {"load": {"wall_s": 2}}})

    assert {name: value for name, value in found.items() if "vs" in name} == {
        "load_vs_lmdb": 3,
        "load_vs_rocksdict": None,
        "load_vs_redis_pipeline": 20,
        "load_vs_ipc": 2,
        "get_many_vs_lmdb": 3,
        "get_many_vs_valkey": 2,
        "push_vs_redis_pipeline": 3,
        "http_vs_fastapi_redis": 3,
    }


def test_a_row_of_another_version_is_torn() -> None:
    """So is one whose checksum isn't its own; rows of one version aren't, in whatever order."""
    ids = np.array([7, 3, 3, 9])
    old, new = torn.tagged(ids, 1), torn.tagged(ids, 2)

    mixed = pa.concat_tables([old[:2], new[2:]])
    flipped = old.set_column(2, "checksum", [old["checksum"].to_numpy() ^ np.array([0, 1, 0, 0], dtype=np.uint64)])

    assert [torn.out_of_place(ids, rows) for rows in (old, new, mixed, flipped)] == [0, 0, 2, 1]


def test_a_wrong_row_fails(tmp_path: Path) -> None:
    """A contender that answers with something else isn't measured."""
    from benchmarks.cache.lookups import one
    from benchmarks.cache.rows import rows_file

    class Wrong:
        @staticmethod
        def reading(_: Any) -> Any:
            from contextlib import nullcontext

            return nullcontext(type("Reader", (), {"get": staticmethod(lambda _: {"score_0": 2.0})}))

    with pytest.raises(RuntimeError, match="and not"):
        one(Wrong, Task(str(rows_file(10)), 10, str(tmp_path)))


def test_contenders_of_another_benchmark_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--contenders` takes those of the benchmark that is run."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", "cache", "--contenders", "duckdb"])

    with pytest.raises(SystemExit):
        main()

    assert (
        "cache has no contender duckdb; it has lakeflow, lakeflow_rows, lmdb, rocksdict, valkey, ipc"
        in capsys.readouterr().err
    )
