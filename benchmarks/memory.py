"""A table streamed under budgets a tenth of its size: what the reader held, and what the process took."""

from __future__ import annotations

import gc
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contender import resident_mb
from benchmarks.data import dataset
from benchmarks.processes import run_process
from benchmarks.report import machine
from benchmarks.stores import run_store, table_name
from benchmarks.tables import truth
from benchmarks.workloads import SCALES, WORKLOADS, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_memory"]

_BUDGETS_MIB = (64, 128, 512)


def run_memory(
    *, scale: str = "full", profile: str = "s3", budgets: Sequence[int] = _BUDGETS_MIB, out: str | None = None
) -> dict[str, Any]:
    """Stream TPC-H's lineitem (1.2 GB, 5 GB decoded) under each budget, in a fresh process each.

    Args:
        scale: A name out of `SCALES`.
        profile: The name of one of the S3-like server's.
        budgets: In MiB.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has, in megabytes: by budget, `peak_mb` as the reader counts it, `buffers_mb` as its pool of
        decoded buffers does, `rss_mb` over what the process had before, `exact` rows, `wall_s`.
    """
    workload, size = WORKLOADS["stream"], SCALES[scale]
    folder = dataset(workload.dataset, size)
    right = truth(workload, size, folder)
    result: dict[str, Any] = {"scale": scale, "profile": profile, "machine": machine(), "budgets": {}}
    with run_store(profile, [folder]) as store:
        task = workload.task(size, store.properties, table_name(folder))
        for mib in budgets:
            found = run_process(sys.executable, ["benchmarks.memory", str(mib)], asdict(task))
            if "error" not in found:
                found["exact"] = (found.pop("rows"), found.pop("checksum")) == (right.rows, right.checksum)
            result["budgets"][f"{mib} MiB"] = found
            print(f"{mib} MiB: {', '.join(f'{name} {value}' for name, value in found.items())}")
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def main(mib: int) -> None:
    """Read the task on standard input under one budget; print figures as JSON."""
    import pyarrow.compute as pc

    import lakeflow as lf
    from lakeflow_io.parquet.native.pool import buffer_pool

    task = Task(**json.load(sys.stdin))
    table = lf.connect(**task.properties).table(task.table)
    # What stays of a first use isn't the budget's: libraries, connections, a few row groups.
    table.head(10)
    gc.collect()
    base, began = resident_mb("VmRSS"), time.perf_counter()
    scan = table.scan()
    rows = checksum = buffers = rss = 0
    for batch in scan.batches(memory=f"{mib} MiB"):
        rows += batch.num_rows
        checksum += pc.sum(batch.column(task.checksum)).as_py()
        buffers, rss = max(buffers, buffer_pool().bytes_allocated()), max(rss, resident_mb("VmRSS"))
    figures = {
        "wall_s": round(time.perf_counter() - began, 2),
        "peak_mb": scan.report().peak_bytes // 1_000_000,
        "buffers_mb": buffers // 1_000_000,
        "rss_mb": rss - base,
    }
    print(json.dumps({**figures, "rows": rows, "checksum": checksum}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
