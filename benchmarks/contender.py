"""One read by one contender, in this process, measured.

    python -m benchmarks.contender NAME < a task as JSON

Imports and the opening of the catalog are not timed; planning, fetching and decoding are. Libraries
import much of themselves when they are first used, so each reads a table of one row before.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from http.client import HTTPConnection
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.workloads import WARM_TABLE, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["main", "measured", "resident_mb", "warm_up"]


def main(name: str) -> None:
    """Read once and print the figures as JSON."""
    task = Task(**json.load(sys.stdin))
    module = import_module(f"benchmarks.contenders.{name}")
    warm = warm_up(task)
    measured(module.reader(warm), warm)
    found = measured(module.reader(task), task)
    print(json.dumps({"version": version(module.PACKAGE), "settings": module.SETTINGS, **found}))


def warm_up(task: Task) -> Task:
    """A read of one row that uses what `task` uses."""
    where = task.where and ("id", 0, 10)
    return replace(task, table=WARM_TABLE, checksum="id", columns=task.columns and ["id"], where=where)


def measured(read: Callable[[], Any], task: Task) -> dict[str, Any]:
    """Call `read` once; it gives a table, or an iterable of record batches if the task streams."""
    base = resident_mb("VmRSS")
    _control(task.control_port, "POST", "reset")
    cpu, started = _cpu_s(), time.perf_counter()
    result = read()
    if task.stream:
        rows, checksum = _drain(result, task.checksum)
    figures = {
        "wall_s": round(time.perf_counter() - started, 4),
        "cpu_s": round(_cpu_s() - cpu, 4),
        "base_rss_mb": base,
        "peak_rss_mb": resident_mb("VmHWM"),
        "result_mb": 0,
    }
    counted = _control(task.control_port, "GET", "counts")
    figures |= {key: counted and counted[key] for key in ("requests", "bytes_sent", "faults")}
    if not task.stream:
        rows, checksum = result.num_rows, _sum(result[task.checksum])
        figures["result_mb"] = result.get_total_buffer_size() // 1_000_000
    return {**figures, "rows": rows, "checksum": checksum}


def _drain(batches: Any, column: str) -> tuple[int, int]:
    rows = checksum = 0
    for batch in batches:
        rows += batch.num_rows
        checksum += _sum(batch.column(column)) if batch.num_rows else 0
    return rows, checksum


def _sum(column: pa.Array | pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    return pc.sum(column).as_py() or 0


def _cpu_s() -> float:
    """User and system seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def resident_mb(field: str) -> int:
    """Megabytes that this process has (`VmRSS`), or has had at most (`VmHWM`)."""
    # Not ru_maxrss: that begins with what the process had before it became this program.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:", 1)[1].split(maxsplit=1)[0]) * 1024 // 1_000_000


def _control(port: int | None, method: str, what: str) -> Any:
    if port is None:
        return None
    connection = HTTPConnection("127.0.0.1", port)
    connection.request(method, f"/_s3like/{what}")
    answer = json.load(connection.getresponse())
    connection.close()
    return answer


if __name__ == "__main__":
    main(sys.argv[1])
