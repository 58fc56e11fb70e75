"""A whole Iceberg table from S3 into Arrow: lakeflow beside Polars and pyiceberg."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

import lakeflow as lf
from benchmarks.contenders import CONTENDERS
from lakeflow.demo.seaweed import run_seaweed

__all__ = ["run"]

_TABLE = "bench.events"
_FILE_ROWS = 1_000_000
_WORDS = 50_000


def run(rows: int, runs: int, out: str | None = None) -> dict[str, Any]:
    """Time each contender in fresh processes, interleaved, on one SeaweedFS on loopback.

    Args:
        rows: Of the table: 3 integer, 3 float, 2 string and 1 timestamp columns.
        runs: Counted runs of each contender; one more warms the server up.
        out: A file for the figures, as JSON.

    Returns:
        Medians by contender, and how many times as long as lakeflow each took.
    """
    with tempfile.TemporaryDirectory(prefix="lakeflow-bench-") as folder, run_seaweed(Path(folder)) as server:
        properties = server.catalog_properties
        size = _make_table(lf.connect(**properties), rows)
        figures: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
        for number in range(runs + 1):
            for name, taken in figures.items():
                found = _one(name, properties)
                if found["rows"] != rows:
                    raise SystemExit(f"{name} read {found['rows']} of {rows} rows")
                if number:
                    taken.append(found)
    result = _summary(figures, rows, size)
    _print(result)
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _make_table(lake: lf.Lake, rows: int) -> int:
    schema = _batch(0, 1).schema
    table = lake.create_table(_TABLE, schema)
    for start in range(0, rows, _FILE_ROWS):
        table.append(_batch(start, min(_FILE_ROWS, rows - start)))
    return sum(piece.file_size for piece in table.scan().pieces)


def _batch(start: int, rows: int) -> pa.Table:
    random = np.random.default_rng(start)
    words = pa.array([f"word-{number:05d}" for number in range(_WORDS)])
    picked = [words.take(pa.array(random.integers(0, _WORDS, rows))) for _ in range(2)]
    return pa.table(
        {
            "id": np.arange(start, start + rows),
            "user": random.integers(0, 1 << 40, rows),
            "kind": random.integers(0, 20, rows).astype(np.int32),
            "amount": random.normal(100, 15, rows),
            "price": random.random(rows),
            "ratio": random.random(rows).astype(np.float32),
            "word": picked[0],
            "other_word": picked[1],
            "at": pa.array(np.arange(start, start + rows) * 1_000_000, pa.timestamp("us")),
        }
    )


def _one(name: str, properties: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.contenders", name, _TABLE],
        input=json.dumps(properties),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _summary(figures: dict[str, list[dict[str, Any]]], rows: int, size: int) -> dict[str, Any]:
    ours = figures["lakeflow"]
    return {
        "rows": rows,
        "bytes": size,
        "runs": len(ours),
        "contenders": {
            name: {
                "version": taken[0]["version"],
                **{key: round(median(run[key] for run in taken), 3) for key in ("wall_s", "cpu_s", "peak_rss_mb")},
                # Pair by pair: the machine's speed drifts, and both of a pair saw the same of it.
                "times_lakeflow": round(
                    median(run["wall_s"] / own["wall_s"] for run, own in zip(taken, ours, strict=True)), 2
                ),
            }
            for name, taken in figures.items()
        },
    }


def _print(result: dict[str, Any]) -> None:
    print(f"{result['rows']:,} rows, {result['bytes'] / 1e6:,.0f} MB of Parquet, median of {result['runs']}")
    print(f"{'':12}{'version':>9}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'x lakeflow':>12}")
    for name, row in result["contenders"].items():
        cells = f"{row['wall_s']:>9.2f}{row['cpu_s']:>9.2f}{row['peak_rss_mb']:>9,.0f}{row['times_lakeflow']:>12.2f}"
        print(f"{name:12}{row['version']:>9}{cells}")
