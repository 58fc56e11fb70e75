"""Publishes under readers: whether rows are torn, how soon a version is seen, and what a switch costs requests.

Every row carries its version and a checksum of itself. The same on a store whose keys are overwritten in place has
torn rows, so what finds none elsewhere is known to be able to.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.cache.lookups import percentile

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from numpy.typing import NDArray

    from benchmarks.cache.parts import Task

__all__ = ["out_of_place", "tagged", "torn"]

_READERS = 4
_PUBLISHES = 500
_ROWS = 10_000
_ASKED = 1000  # rows of a request: of those that Valkey is given at once, some and not all
_PAUSE_SECONDS = 0.003  # of a reader between requests: all of them together leave the publisher a core
_REST_SECONDS = 0.03  # of the publisher: what is steady lies here
_AFTER_NS = 10_000_000  # a switch is over when readers have had time for a request of the new version
_MIXED = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth, The Art of Computer Programming, volume 3, 6.4


@dataclass(frozen=True, slots=True)
class _Read:
    """What one reader saw."""

    torn: int
    rows: int
    requests: NDArray[np.int64]
    """Of each: when it began, when it ended (`time.monotonic_ns`), and the version of its first row."""


def torn(module: Any, task: Task) -> dict[str, Any]:
    """Publish again and again under readers in processes of their own.

    `visible_ms` is by how much a request began after the end of a publish of which it saw nothing yet, at the most.
    A request is of a switch where it overlaps with a publish, its building included, or with the 10 ms after it.
    """
    publishes = min(_PUBLISHES, task.rows)
    name = module.__name__.rpartition(".")[2]
    context = multiprocessing.get_context("spawn")
    done, answers = context.Event(), context.SimpleQueue()
    readers = [context.Process(target=_read_until, args=(name, task, n, done, answers)) for n in range(_READERS)]
    times = np.empty((publishes + 1, 2), dtype=np.int64)
    with module.publishing(task) as publish:
        for number in range(publishes + 1):
            begun = time.monotonic_ns()
            publish(tagged(np.arange(_ROWS), number))
            times[number] = begun, time.monotonic_ns()
            if not number:
                for reader in readers:
                    reader.start()
                    answers.get()  # it has read once
            time.sleep(_REST_SECONDS)
        done.set()
        found: list[_Read] = [answers.get() for _ in readers]
        for reader in readers:
            reader.join()
    return {
        "torn_reads": sum(each.torn for each in found),
        "row_reads": sum(each.rows for each in found),
        "publishes": publishes,
        **_latencies(np.concatenate([each.requests for each in found]), times),
    }


def tagged(ids: NDArray[np.int64], version: int | NDArray[np.int64]) -> pa.Table:
    """Rows: their key, the version (of all, or of each), and a checksum of both."""
    versions = np.full(len(ids), version)
    return pa.table({"id": ids, "version": versions, "checksum": _checksums(ids, versions)})


def out_of_place(ids: NDArray[np.int64], rows: pa.Table) -> int:
    """How many rows of an answer aren't of the version of its first one, or have a wrong checksum."""
    versions, checksums = (rows[name].to_numpy() for name in ("version", "checksum"))
    return int(((versions != versions[0]) | (checksums != _checksums(ids, versions))).sum())


def _checksums(ids: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.uint64]:
    mixed = ids.astype(np.uint64) * _MIXED + versions.astype(np.uint64)
    return (mixed ^ (mixed >> np.uint64(29))) * _MIXED


def _read_until(contender: str, task: Task, number: int, done: Event, answers: Any) -> None:
    """Ask for random rows until it is said that all are published."""
    random, torn, requests = np.random.default_rng([task.seed, number]), 0, []
    with import_module(f"benchmarks.cache.contenders.{contender}").tagged_reading(task) as get_many:
        while not done.is_set():
            ids = random.integers(0, _ROWS, _ASKED)
            begun = time.monotonic_ns()
            rows = get_many(ids)
            requests.append((begun, time.monotonic_ns(), rows["version"][0].as_py()))
            torn += out_of_place(ids, rows)
            if len(requests) == 1:
                answers.put(None)
            time.sleep(_PAUSE_SECONDS)
    answers.put(_Read(torn, len(requests) * _ASKED, np.array(requests)))


def _latencies(requests: NDArray[np.int64], times: NDArray[np.int64]) -> dict[str, float]:
    begun, ended, seen = requests.T
    last = len(times) - 1
    late = np.where(seen < last, begun - times[np.minimum(seen + 1, last), 1], 0)
    following = np.searchsorted(times[:, 1] + _AFTER_NS, begun)  # the first publish that isn't over when it begins
    switched = (following <= last) & (ended >= times[np.minimum(following, last), 0])
    taken = ended - begun
    return {
        "visible_ms": round(max(int(late.max()), 0) / 1e6, 3),
        "steady_p99_ms": percentile(taken[~switched], 99, 1e6),
        "switch_p99_ms": percentile(taken[switched], 99, 1e6),
    }
