"""A million keys into ten million rows: seconds and memory of an upsert, by kind of key and layout.

    python -m benchmarks upsert [--scale small]

Half of the keys are in the table, spread over all of it: the worst case for copy-on-write, since every file has some.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.contender import resident_mb
from benchmarks.processes import run_process
from benchmarks.report import machine

__all__ = ["CASES", "run_upsert"]

# Rows of the table, keys, and appends.
_SIZES = {"full": (10_000_000, 1_000_000, 20), "small": (20_000, 2000, 3)}
# The key, and how the table is partitioned.
CASES: dict[str, tuple[list[str], list[str]]] = {
    "one whole number": (["id"], []),
    "a text and a whole number": (["code", "id"], []),
    "one whole number, 16 buckets": (["id"], ["bucket(16, id)"]),
}


def run_upsert(*, scale: str = "full", out: str | None = None) -> dict[str, Any]:
    """Upsert into a table on local disk, a fresh process each time.

    Args:
        scale: A name out of `SCALES`.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has, by case: `wall_s`, `cpu_s`, `peak_mb` (resident, of the process), `exact`.
    """
    rows, keys, appends = _SIZES[scale]
    result: dict[str, Any] = {"scale": scale, "rows": rows, "keys": keys, "machine": machine(), "cases": {}}
    for name, (key, partition_by) in CASES.items():
        with tempfile.TemporaryDirectory() as home:
            task = {"home": home, "rows": rows, "keys": keys, "appends": appends, "key": key}
            task["partition_by"] = partition_by
            make(task)
            found = run_process(sys.executable, ["benchmarks.upsert"], task)
        result["cases"][name] = found
        print(f"{name}: {', '.join(f'{fact} {value}' for fact, value in found.items())}")
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _rows(ids: Any, generation: int) -> Any:
    """Ten columns, 110 bytes a row in Arrow memory."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(generation)
    words = pa.array([f"word-{number:05d}" for number in range(5000)])
    columns: dict[str, Any] = {"id": ids, "code": pa.array([f"code-{each % 1000:03d}" for each in ids.tolist()])}
    for number in range(4):
        columns[f"amount_{number}"] = random.normal(100, 15, len(ids))
    for number in range(2):
        columns[f"word_{number}"] = words.take(pa.array(random.integers(0, len(words), len(ids))))
    columns["count"] = random.integers(0, 1 << 40, len(ids))
    columns["generation"] = np.full(len(ids), generation, np.int32)
    return pa.table(columns)


def make(task: dict[str, Any]) -> None:
    """Write the table, in files that each hold ids from all of its range."""
    import numpy as np

    lake, ids = _lake(task["home"]), np.random.default_rng(0).permutation(task["rows"])
    parts = np.array_split(ids, task["appends"])
    table = lake.create_table("bench.upsert", _rows(parts[0][:1], 0).schema, partition_by=task["partition_by"])
    for part in parts:
        table.append(_rows(part, 0))


def upsert(task: dict[str, Any]) -> dict[str, Any]:
    """Upsert keys of which every other one is new; tell what it took, and whether the table is right."""
    import resource

    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows, keys = task["rows"], task["keys"]
    known = np.random.default_rng(2).choice(rows, keys // 2, replace=False)
    new = rows + np.arange(keys - len(known))
    data = _rows(np.random.default_rng(3).permutation(np.concatenate([known, new])), 1)
    table = _lake(task["home"]).table("bench.upsert")
    table.head(10)
    before, began, cpu = resident_mb("VmRSS"), time.perf_counter(), time.process_time()
    snapshot = table.upsert(data, key=task["key"])
    figures = {
        "wall_s": round(time.perf_counter() - began, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
        "before_mb": before,
    }
    found = table.scan(columns=["id", "generation"]).read().to_arrow()
    updated = found.filter(pc.equal(found["generation"], pa.scalar(1, pa.int32())))
    exact = (
        snapshot is not None
        and found.num_rows == rows + len(new)
        and pc.count_distinct(found["id"]).as_py() == found.num_rows
        and set(updated["id"].to_pylist()) == {*known.tolist(), *new.tolist()}
    )
    return {**figures, "exact": exact}


def _lake(home: str) -> Any:
    import os

    import lakeflow as lf

    os.environ["LAKEFLOW_HOME"] = home
    return lf.connect()


if __name__ == "__main__":
    print(json.dumps(upsert(json.load(sys.stdin))))
