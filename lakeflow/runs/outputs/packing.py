"""Commit tasks: workers read a range of markers each and write manifests of the files that these name.

A driver that reads 100,000 markers and writes their manifests itself is busy for minutes, and everybody waits for
it. So above some hundred files it only hands out ranges, and names the manifests that come back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow.runs.state.journal import Journal
from lakeflow_io.errors import StoreError, WorkerLostError
from lakeflow_io.iceberg.pack import PackedManifest
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lakeflow.runs.outputs.sink import Packer
    from lakeflow_engines.executors import Completion, Executor

__all__ = ["PACK_FROM_BYTES", "PackTask", "pack_all", "ranges"]

PACK_FROM_BYTES = 640 * 1024
"""Of markers: about 500 files. `python -m benchmarks commit` measures where it begins to pay."""
# Of markers, for one task: some 3,000 files, a manifest of about 1 MB, a second.
_RANGE_BYTES = 4 * 1024 * 1024
_TRIES = 4
_log = logging.getLogger("lakeflow.runs")


@dataclass(frozen=True, slots=True)
class PackTask:
    """One range of a run's markers, of one output."""

    run_id: str
    output: str
    number: int
    """Of the first marker, among those that are published."""
    work_ids: tuple[str, ...] = field(repr=False)
    packer: Packer
    folder: str
    """URI of the run's folder."""
    store: dict[str, str] = field(repr=False)
    conditional: bool

    @property
    def name(self) -> str:
        """The same range has the same one in every driver."""
        return f"{self.number:05d}-{self.number + len(self.work_ids) - 1:05d}"

    @property
    def key(self) -> str:
        """Unique within the run."""
        return f"{self.run_id}-packed-{self.output}-{self.name}"


def ranges(work_ids: Iterable[str], size: Callable[[str], int]) -> Iterator[tuple[str, ...]]:
    """Cut markers into ranges for tasks, the same ones in every driver.

    Args:
        work_ids: Of the markers, in order.
        size: Bytes of a marker.
    """
    taken, total = list[str](), 0
    for work_id in work_ids:
        taken.append(work_id)
        total += size(work_id)
        if total >= _RANGE_BYTES:
            yield tuple(taken)
            taken, total = [], 0
    if taken:
        yield tuple(taken)


def run_pack(task: PackTask) -> dict[str, Any]:
    """Write the manifests of one range, unless an earlier task has.

    Returns:
        The record that counts: `manifests`, and `rows_in` of the works.
    """
    journal = Journal(open_transport(task.store), task.folder, task.conditional)
    before = journal.packed(task.output, task.name)
    if before is not None:
        return before
    rows_in = 0

    def files() -> Iterator[dict[str, Any]]:
        nonlocal rows_in
        for marker in journal.markers(task.work_ids):
            rows_in += marker["rows_in"]
            yield from marker["files"].get(task.output, ())

    packed = task.packer.pack(f"{task.run_id}-packed-{task.name}", files())
    record = {"format": 1, "manifests": [each.record for each in packed], "rows_in": rows_in}
    counted = journal.mark_packed(task.output, task.name, record)
    if counted != record:
        for each in packed:
            journal.transport.delete(each.path)
    return counted


def pack_all(executor: Executor, tasks: Iterable[PackTask]) -> tuple[list[PackedManifest], int]:
    """Run commit tasks on the executor of the run.

    Returns:
        All manifests in the order of the tasks, and the sum of `rows_in`.

    Raises:
        StoreError, WorkerLostError: it kept failing.
    """
    waiting, running = iter(tasks), dict[str, tuple[PackTask, int]]()
    records: dict[int, dict[str, Any]] = {}

    def submit(task: PackTask, tries: int) -> None:
        key = f"foreach-{task.key}-t{tries}"
        running[key] = task, tries
        executor.submit(key, run_pack, task)

    while True:
        while len(running) <= executor.slots and (task := next(waiting, None)) is not None:
            submit(task, 0)
        if not running:
            break
        completion: Completion | None = executor.next()
        if completion is None or completion.key not in running:
            continue  # nothing yet, or an attempt that nobody waits for any more
        task, tries = running.pop(completion.key)
        error = completion.error
        if error is None:
            records[task.number] = completion.value
        elif isinstance(error, StoreError | WorkerLostError) and tries + 1 < _TRIES:
            _log.warning("%s failed, will run again: %s", task.key, error)
            submit(task, tries + 1)
        else:
            raise error
    ordered = [records[number] for number in sorted(records)]
    manifests = [PackedManifest(**each) for record in ordered for each in record["manifests"]]
    return manifests, sum(record["rows_in"] for record in ordered)
