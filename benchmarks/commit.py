"""The end of a large run: markers of many files -> one snapshot, by the driver alone, by workers, and by pyiceberg.

    python -m benchmarks commit [--files 100,1000,10000] [--json OUT]

The files aren't there: their descriptions are, ten to a marker, each with the statistics of ten columns.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.processes import run_process
from benchmarks.report import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lakeflow as lf

__all__ = ["WAYS", "run_commit"]

WAYS = ("workers", "driver", "pyiceberg")
"""Two worker processes write manifests; the driver reads all markers and writes one; pyiceberg's `fast_append` of the
same `DataFile` objects, which are made before the clock starts."""
_FILES_A_MARKER = 10
_COLUMNS = 10


def run_commit(
    *, files: Sequence[int] = (100, 300, 1000, 10_000), runs: int = 3, out: str | None = None
) -> dict[str, Any]:
    """Measure each way in fresh processes, in turn.

    Args:
        files: Of the snapshot.
        runs: Of each.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: by number of files and way, medians of `driver_cpu_s` and `wall_s`, `manifests`; and
        `vs_pyiceberg`, pyiceberg's CPU seconds through those of the driver whose workers write manifests.
    """
    result: dict[str, Any] = {"machine": machine(), "runs": runs, "commits": {}}
    for count in files:
        taken: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(runs):
            for way, found in taken.items():
                with tempfile.TemporaryDirectory() as home:
                    task = {"home": home, "files": count, "way": way}
                    found.append(run_process(sys.executable, ["benchmarks.commit"], task))
        row: dict[str, Any] = {way: _summary(found) for way, found in taken.items()}
        if not any("error" in row[way] for way in WAYS):
            row["vs_pyiceberg"] = round(row["pyiceberg"]["driver_cpu_s"] / row["workers"]["driver_cpu_s"], 2)
        result["commits"][str(count)] = row
        print(f"{count} files: " + "; ".join(f"{name} {facts}" for name, facts in row.items()))
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    failed = [run for run in runs if "error" in run]
    if failed:
        return failed[0]
    return {name: median(run[name] for run in runs) for name in ("driver_cpu_s", "wall_s", "files", "manifests")}


def _table(home: str) -> tuple[lf.Table, dict[str, Any]]:
    """A table, and a description of a file of it as a worker makes it."""
    import os

    import pyarrow as pa

    import lakeflow as lf
    from lakeflow_io.iceberg.stage import Stager

    os.environ["LAKEFLOW_HOME"] = home
    numbers = {f"amount_{number}": [float(number), number + 1.5] for number in range(_COLUMNS - 2)}
    rows = pa.table({"id": [1, 2], "name": ["some text", "some more text"], **numbers})
    table = lf.connect().create_table("bench.commit", rows.schema)
    return table, Stager.for_table(table.iceberg, table.name).write("template", rows)[0]


def _described(template: dict[str, Any], count: int) -> list[list[dict[str, Any]]]:
    """Descriptions of files, marker by marker."""
    folder = template["path"].rpartition("/")[0]
    files = [{**template, "path": f"{folder}/run-item-{n:05d}-a0-{n:032x}.parquet"} for n in range(count)]
    return [files[start : start + _FILES_A_MARKER] for start in range(0, count, _FILES_A_MARKER)]


def commit(task: dict[str, Any]) -> dict[str, Any]:
    """Commit once; tell what it took the driver."""
    table, template = _table(task["home"])
    parts = _described(template, task["files"])
    way = _pyiceberg if task["way"] == "pyiceberg" else _lakeflow
    cpu, wall = way(table, parts, by_workers=task["way"] == "workers")
    snapshot = table.refresh().iceberg.current_snapshot()
    assert snapshot is not None  # noqa: S101  (a benchmark)
    manifests = snapshot.manifests(table.iceberg.io)
    files = sum(manifest.added_files_count or 0 for manifest in manifests)
    if files != task["files"]:
        return {"error": f"{files} files of {task['files']}"}
    return {"driver_cpu_s": round(cpu, 3), "wall_s": round(wall, 3), "files": files, "manifests": len(manifests)}


def _pyiceberg(table: lf.Table, parts: list[list[dict[str, Any]]], *, by_workers: bool) -> tuple[float, float]:
    del by_workers
    from lakeflow_io.iceberg.describe import data_file

    files = [data_file(table.iceberg, file) for part in parts for file in part]
    cpu, wall = time.process_time(), time.perf_counter()
    with table.iceberg.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        for file in files:
            append.append_data_file(file)
    return time.process_time() - cpu, time.perf_counter() - wall


def _lakeflow(table: lf.Table, parts: list[list[dict[str, Any]]], *, by_workers: bool) -> tuple[float, float]:
    from lakeflow.runs.outputs import publishing
    from lakeflow.runs.outputs.outputs import ONLY, Outputs
    from lakeflow.runs.plan import RunPlan
    from lakeflow.runs.state.done import Done
    from lakeflow.runs.state.journal import Journal
    from lakeflow.runs.state.seal import Seal
    from lakeflow_io.storage import open_transport

    outputs = Outputs.of(table)
    assert outputs is not None  # noqa: S101  (a benchmark)
    plan = RunPlan(
        run_id="run", inputs=[], kind="item", shards=len(parts), shards_digest="", bytes=0, rows=0, function="f",
        code="", params={}, shared={}, outputs=outputs.describe(), planned_on=outputs.heads(),
    )  # fmt: skip
    journal = Journal.of(open_transport(outputs.first.store_properties), table.location, "run")
    journal.adopt(plan)
    done = Done(len(parts))
    for work_id, files in zip(plan.work_ids, parts, strict=True):
        marker = {"format": 1, "shard": work_id, "attempt": 0, "files": {ONLY: files}, "rows_in": 0}
        done.add(work_id, journal.mark_done(marker)["marker_bytes"])
    publishing.PACK_FROM_BYTES = 0 if by_workers else 1 << 60
    executor = Processes(2)
    try:
        if by_workers:  # they have been at work for long, at the end of a run
            for number in range(4):
                executor.submit(f"warm-{number}", _warm, None)
            for _ in range(4):
                executor.next()
        cpu, wall = time.process_time(), time.perf_counter()
        publishing.Publisher(plan, journal, outputs, lambda: executor, wall).publish(Seal("publish"), done)
        return time.process_time() - cpu, time.perf_counter() - wall
    finally:
        executor.close()


class Processes:
    """An executor over two processes of this machine: what a driver does for it is little else than its own."""

    name = "processes"

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pool = ProcessPoolExecutor(slots, multiprocessing.get_context("spawn"))
        self._ended: SimpleQueue[Any] = SimpleQueue()

    def submit(self, key: str, call: Any, argument: Any) -> None:
        """Send a call."""
        future = self._pool.submit(call, argument)
        future.add_done_callback(lambda done: self._ended.put((key, done)))

    def next(self, timeout: float | None = None) -> Any:
        """Wait for any call to end."""
        from lakeflow_engines.executors import Completion

        del timeout
        key, done = self._ended.get()
        return Completion(key, None if done.exception() else done.result(), done.exception())

    def close(self) -> None:
        """End both."""
        self._pool.shutdown()


def _warm(_: Any) -> None:
    """Import what a worker that has written files has imported."""
    for name in ("describe", "file_io", "snapshot_internals"):
        import_module(f"lakeflow_io.iceberg.{name}")
    time.sleep(0.2)  # so that each worker gets one


if __name__ == "__main__":
    print(json.dumps(commit(json.load(sys.stdin))))
