"""Rounds: in each a version is published, somebody is killed, and the cache is looked at."""

from __future__ import annotations

import json
import time
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cache.kills.actor import STUCK_SECONDS, Actor
from benchmarks.cache.kills.check import Found, half_records, leaked, look
from benchmarks.cache.kills.place import LEASE_SECONDS
from benchmarks.cache.kills.rows import KINDS, PARTS, kind_of, run_id
from benchmarks.cache.kills.work import SLOTS, collect, read, write

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from benchmarks.cache.kills.place import Place
    from benchmarks.chaos.processes import Processes

__all__ = ["PHASES", "Rounds"]

_WRITERS = ("writing", "merging", "publishing")
PHASES = (*_WRITERS, "collecting", "reading")
"""What a process is at when it is killed."""
_KEEP = 1  # of the collector, which so removes what a publish keeps
_SETTLED_EVERY = 10  # rounds; in between, what kills leave piles up
_OVER = 1.1  # of a phase's length, so that its very end is met, too
_TRIES = 20
_POLL_SECONDS = 0.02


class Rounds:
    """One cache, who works at it, and what was seen.

    Args:
        place: The cache.
        notes: A file for what those who work at it note.
        processes: Starts them.
        draw: What is killed, and when.
    """

    def __init__(self, place: Place, notes: Path, processes: Processes, draw: Random) -> None:
        self._place, self._notes = place, notes
        self._notes.touch()
        self._processes, self._draw = processes, draw
        self.killed: Counter[str] = Counter()
        """By phase."""
        self.counts: Counter[str] = Counter()
        self.found = Found()
        self._number = -1
        self._calls: Counter[int] = Counter()
        """Of the tasks of the current run, by the part that they make."""
        self._ids: set[str] = set()
        """Of the versions that were seen of the current run: one."""
        self._done: set[int] = set()
        """Tasks of the current run that had a marker when its last writer ended."""
        self._spans: dict[tuple[str, str], float] = {}
        """Seconds that a phase takes, by the kind of the version."""
        self._newest = -1
        self._read_notes = 0
        self._read_last = -1
        """The version of the reader's last answer."""

    def warm_up(self) -> None:
        """A version of each kind without a kill, which tells how long each phase takes."""
        self._collector = self._collecting()
        for kind in KINDS:
            writer = self._next()
            self._finish(writer)
            if not self._number:
                self._reader = self._reading()
            self._spans |= {(kind, phase): seconds for phase, seconds in writer.lengths()}
            self._spans[kind, "reading"] = writer.marks[-1][1] - writer.marks[0][1]
        self.settle()
        collected = [seconds for phase, seconds in self._collector.lengths() if phase == "collecting"]
        self._spans |= {(kind, "collecting"): median(collected or [0.0]) for kind in KINDS}

    def play(self) -> None:
        """Publish a version; kill out of those that were met least."""
        phase = min(PHASES, key=lambda each: (self.killed[each], self._draw.random()))
        writer = self._next()
        if phase in _WRITERS:
            for _ in range(self._draw.choice([1, 1, 2, 3])):
                self._kill(writer, phase)
                self.count_tasks()
                writer, phase = self._writing(), self._draw.choice(_WRITERS)
        elif phase == "collecting":
            self._kill(self._collector, phase)
            self._collector = self._collecting()
        else:
            self._kill(self._reader, phase)
            self._reader = self._reading()
        self._finish(writer)
        if self.counts["versions"] % _SETTLED_EVERY == 0:
            self.settle()

    def settle(self) -> None:
        """Collect, while nobody writes: nothing is left but what the current version needs."""
        if self._place.is_store:
            self._await_reader()
            time.sleep(LEASE_SECONDS)  # then claims of the dead have run out
        writers = self._place.seen_from("writer")
        writers.cache(keep=1, grace=0).gc()
        self.counts["half_records"] = half_records(writers)
        self.found.leaked = sorted({*self.found.leaked, *leaked(writers)})

    def _await_reader(self) -> None:
        """Wait until the reader has all that it reads of the newest version: nothing keeps older ones for it then."""
        limit = time.monotonic() + STUCK_SECONDS
        while self._read_last < self._newest:
            if time.monotonic() > limit:
                self.found.stuck += 1
                return
            time.sleep(_POLL_SECONDS)
            self._read_on()

    def begin(self, number: int) -> None:
        """Count what follows for this version."""
        self._number = number
        self._calls.clear()
        self._ids.clear()
        self._done.clear()

    def count_tasks(self) -> None:
        """Of a writer that has ended: which tasks it was at when it was killed."""
        before = self._calls.copy()
        self._read_on()
        called = {part for part in self._calls if self._calls[part] > before[part]}
        again = called & self._done
        self._done = self._place.done_parts(run_id(self._number))
        met = called - self._done
        self.counts["tasks_killed"] += len(met)
        if again or len(met) > SLOTS:
            self.found.redone_more.append(f"{run_id(self._number)}: {sorted(again)} again, {sorted(met)} at one time")

    def _kill(self, actor: Actor, phase: str) -> None:
        """At a random moment of a phase; one of the writer's may not come any more."""
        if phase != "reading" and not actor.reaches(phase):
            self.found.stuck += not actor.ends()
            return
        met = actor.killed_after(self._draw.uniform(0, _OVER) * self._spans.get((kind_of(self._number), phase), 0.0))
        if met in PHASES:
            self.killed[met] += 1
        self._look()

    def _finish(self, writer: Actor) -> None:
        """Have it published, and published once."""
        for _ in range(_TRIES):
            self.found.stuck += not writer.ends()
            self.count_tasks()
            if writer.phase == "done":
                break
            writer = self._writing()
        self._look()
        self.counts["versions"] += 1
        if len(self._ids) != 1:
            self.found.republished.append(f"{run_id(self._number)}: {sorted(self._ids)}")
        if kind_of(self._number) == "foreach":
            self.counts["tasks"] += PARTS
            self.counts["tasks_redone"] += self._calls.total() - PARTS

    def _next(self) -> Actor:
        self.begin(self._number + 1)
        return self._writing()

    def _look(self) -> None:
        self.counts["looks"] += 1
        seen = look(self._place, self.found)
        if seen is None:
            return
        self.found.went_back += seen.number < self._newest
        self._newest = max(self._newest, seen.number)
        if seen.run == run_id(self._number):
            self._ids.add(seen.version)

    def _read_on(self) -> None:
        """Read what the processes have noted since the last time."""
        with self._notes.open("rb") as file:
            file.seek(self._read_notes)
            lines = file.readlines()
            self._read_notes = file.tell()
        for facts in map(json.loads, lines):
            if "call" in facts:
                self._calls[facts["call"]] += 1
            elif "rows" in facts:
                self.counts["answers"] += 1
                self.counts["rows_read"] += facts["rows"]
                self.found.mixed_rows += facts["mixed"]
                self.found.went_back += facts["back"]
                self._read_last = facts["last"]
            else:
                self.found.unexpected.append(facts["error"])

    def _writing(self) -> Actor:
        return Actor(self._processes, write, self._place.seen_from("writer"), str(self._notes), self._number)

    def _collecting(self) -> Actor:
        return Actor(self._processes, collect, self._place.seen_from("collector"), str(self._notes), _KEEP)

    def _reading(self) -> Actor:
        reader = Actor(
            self._processes, read, self._place.seen_from("reader"), str(self._notes), self._draw.getrandbits(32)
        )
        self.found.stuck += not reader.reaches("reading")
        return reader
