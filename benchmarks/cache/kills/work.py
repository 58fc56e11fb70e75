"""The processes that are killed: a writer, a collector, a reader. Each says through a pipe when a phase begins.

Phases are told from outside, by functions that are wrapped in the process itself: lakeflow has no hooks for it.
Imported by the process that all of them are forked from, with all that they need.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

import lakeflow as lf
import lakeflow.cache.building.build
import lakeflow.cache.building.load
import lakeflow.cache.building.update
import lakeflow.cache.sink
from benchmarks.cache.kills.place import GRACE_SECONDS
from benchmarks.cache.kills.rows import (
    CHANGED,
    IDS,
    KINDS,
    PARTS,
    SEGMENT_BYTES,
    SHARD_ROWS,
    kind_of,
    part_of,
    run_id,
    version_rows,
    wrong,
)
from lakeflow.cache.publishing.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from multiprocessing.connection import Connection

    from benchmarks.cache.kills.place import Place

__all__ = ["SLOTS", "collect", "publish", "read", "write"]

# What a run imports when it is needed: a writer that begins with a tenth of a second of imports is mostly killed there.
for _late in ("dataframe", "runs.foreach", "runs.outputs.table_sink", "table"):
    import_module(f"lakeflow.{_late}")
import_module("lakeflow_engines.executors.threads")
import_module("obstore")

SLOTS = 2
"""Tasks that run at one time: so many may be in flight when their process is killed."""
_TASK_SECONDS = 0.02
_REST_SECONDS = 0.002
_ASKED = 300
_MERGING = (
    (lakeflow.cache.sink, "build"),
    (lakeflow.cache.building.load, "build"),
    (lakeflow.cache.building.load, "build_table"),
    (lakeflow.cache.building.update, "rebuild"),
)
_PUBLISHING = tuple(
    (module, "publish")
    for module in (lakeflow.cache.sink, lakeflow.cache.building.load, lakeflow.cache.building.update)
)


def write(pipe: Connection, place: Place, notes: str, number: int) -> None:
    """Publish one version: writing, merging, publishing, done."""
    lakeflow.cache.building.build.SHARD_ROWS = SHARD_ROWS
    if number // len(KINDS) % 2:
        lakeflow.cache.building.load.SEGMENT_BYTES = SEGMENT_BYTES
    for phase, functions in (("merging", _MERGING), ("publishing", _PUBLISHING)):
        for module, name in functions:
            setattr(module, name, _announced(getattr(module, name), pipe, phase))
    with _errors_noted(notes):
        _mark(pipe, "writing")
        publish(place.cache(), number, notes)
        _mark(pipe, "done")


def collect(pipe: Connection, place: Place, notes: str, keep: int) -> None:
    """Collect whenever there is a version to remove: collecting, resting, collecting, ..."""
    cache, shelf, parent = place.cache(keep=keep), place.shelf, os.getppid()
    retention = Retention(keep, GRACE_SECONDS if place.is_store else 0)
    with _errors_noted(notes):
        while os.getppid() == parent:
            pointer = shelf.read_pointer()
            if pointer is not None and retention.applied(pointer, time.time()) != pointer:
                _mark(pipe, "collecting")
                cache.gc()
                _mark(pipe, "resting")
            time.sleep(_REST_SECONDS)


def read(pipe: Connection, place: Place, notes: str, seed: int) -> None:
    """Ask for random rows without a rest: reading."""
    cache, parent, random, last = place.cache(), os.getppid(), np.random.default_rng(seed), -1
    with _errors_noted(notes):
        while os.getppid() == parent:
            ids = np.concatenate([[0], random.choice(IDS, _ASKED)])
            mixed, number = wrong(ids, cache.get_many(ids))
            _note(notes, {"rows": len(ids), "mixed": mixed, "back": number < last, "last": number})
            if last < 0:  # once: who listens may be long in coming back to the pipe, which blocks when it is full
                _mark(pipe, "reading")
            last = max(last, number)


def publish(cache: lf.Cache, number: int, notes: str) -> None:
    """Publish a version as its kind has it; what tasks are called for is noted."""
    kind = kind_of(number)
    if kind == "foreach":
        items = [{"number": number, "part": part, "notes": notes} for part in range(PARTS)]
        lf.foreach(
            items,
            _task,
            into=cache.sink("id"),
            run_id=run_id(number),
            slots=SLOTS,
            speculate=False,  # else a task may be called twice without any kill
            progress=False,
        )
    elif kind == "update":
        cache.update(version_rows(IDS[:CHANGED], number), run_id=run_id(number))
    else:
        cache.load((part_of(number, part) for part in range(PARTS)), key="id", run_id=run_id(number))


def _note(path: str, facts: dict[str, Any]) -> None:
    """Append a line that stays when this process is killed."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, json.dumps(facts).encode() + b"\n")
    os.close(file)


def _task(item: dict[str, Any]) -> Any:
    _note(item["notes"], {"number": item["number"], "call": item["part"]})
    time.sleep(_TASK_SECONDS)
    return part_of(item["number"], item["part"])


def _mark(pipe: Connection, phase: str) -> None:
    pipe.send((phase, time.monotonic()))


def _announced(function: Callable[..., Any], pipe: Connection, phase: str) -> Callable[..., Any]:
    def announced(*arguments: Any, **options: Any) -> Any:
        _mark(pipe, phase)
        return function(*arguments, **options)

    return announced


@contextmanager
def _errors_noted(notes: str) -> Generator[None]:
    try:
        yield
    except BaseException:  # noqa: BLE001  (nothing that is killed may make any of the others fail)
        _note(notes, {"error": traceback.format_exc()})
