"""Decoding alone: Parquet in memory -> Arrow that is held, by each decoder and with each memory pool.

    python -m benchmarks decode [--scale small]

What the reader's choices rest on: a decoder of our own, and pyarrow's pool for what it makes.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.data import dataset
from benchmarks.processes import run_process
from benchmarks.report import machine
from benchmarks.workloads import SCALES, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DECODERS", "run_decode"]


def _lakeflow(files: dict[Path, bytes]) -> tuple[int, int]:
    import pyarrow as pa

    import lakeflow as lf
    from lakeflow_io.reader import read_batches
    from lakeflow_io.storage import MemoryTransport

    scan = lf.scan_parquet(list(files))
    memory = MemoryTransport()
    memory.objects = dict(zip((piece.path for piece in scan.pieces), files.values(), strict=True))
    batches = read_batches(scan._spec, scan.pieces, transport=memory)  # noqa: SLF001  (the reader's own entry takes it)
    table = pa.Table.from_batches(batches, scan.schema)
    return table.num_rows, table.nbytes


def _pyarrow(pool: str) -> Callable[[dict[Path, bytes]], tuple[int, int]]:
    def read(files: dict[Path, bytes]) -> tuple[int, int]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pa.set_memory_pool(getattr(pa, f"{pool}_memory_pool")())
        table = pa.concat_tables([pq.read_table(pa.BufferReader(data)) for data in files.values()])
        return table.num_rows, table.nbytes

    return read


def _polars(files: dict[Path, bytes]) -> tuple[int, int]:
    import polars as pl

    frame = pl.scan_parquet(list(files.values())).collect()
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    return table.num_rows, table.nbytes


DECODERS = {
    "lakeflow": _lakeflow,
    "polars": _polars,
    "pyarrow, mimalloc (its default)": _pyarrow("mimalloc"),
    "pyarrow, jemalloc": _pyarrow("jemalloc"),
    "pyarrow, system": _pyarrow("system"),
}


def run_decode(*, scale: str = "full", runs: int = 5, warm_ups: int = 1, out: str | None = None) -> dict[str, Any]:
    """Decode lineitem, all columns, in a fresh process a run, in turns.

    Args:
        scale: A name out of `SCALES`.
        runs: Counted runs of each decoder.
        warm_ups: Runs before them that aren't counted.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: by decoder, medians of `wall_s`, `user_s`, `system_s`, and `result_mb`.
    """
    folder = dataset(WORKLOADS["full"].dataset, SCALES[scale])
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in DECODERS}
    for number in range(-warm_ups, runs):
        for name, found in taken.items():
            figures = run_process(sys.executable, ["benchmarks.decode", name], {"folder": str(folder)})
            if "error" in figures:
                raise SystemExit(f"{name}: {figures['error']}")
            if number >= 0:
                found.append(figures)
    rows = {figures["rows"] for found in taken.values() for figures in found}
    if len(rows) != 1:
        raise SystemExit(f"The decoders don't agree about the rows: {sorted(rows)}")
    named = ("wall_s", "user_s", "system_s", "result_mb")
    decoders = {name: {key: median(run[key] for run in found) for key in named} for name, found in taken.items()}
    result = {"scale": scale, "runs": runs, "machine": machine(), "rows": rows.pop(), "decoders": decoders}
    print(f"{'':34}{'wall s':>9}{'user s':>9}{'system s':>10}{'result MB':>11}")
    for name, row in decoders.items():
        print(f"{name:34}{row['wall_s']:>9.2f}{row['user_s']:>9.2f}{row['system_s']:>10.2f}{row['result_mb']:>11,.0f}")
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def main(name: str) -> None:
    """Decode the files of the task on standard input; print figures as JSON."""
    import resource

    paths = sorted(Path(json.load(sys.stdin)["folder"]).glob("*.parquet"))
    files = {path: path.read_bytes() for path in paths}
    # Imports and first uses aren't decoding.
    DECODERS[name]({paths[0]: files[paths[0]]})
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    rows, size = DECODERS[name](files)
    after = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "rows": rows,
        "wall_s": round(time.perf_counter() - began, 3),
        "user_s": round(after.ru_utime - before.ru_utime, 3),
        "system_s": round(after.ru_stime - before.ru_stime, 3),
        "result_mb": size // 1_000_000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
