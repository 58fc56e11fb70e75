"""A scheduler over works that nobody runs: sizes, fates and a clock."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from forked import context
from forked_drivers import drive

from lakeflow.runs.attempts.attempt import Attempt, Job
from lakeflow.runs.policy import Policy
from lakeflow.runs.scheduling.schedule import Outcome, run_all
from lakeflow.runs.work import largest_first
from lakeflow_engines.executors import Fate, VirtualExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakeflow.runs.failures import Failure


@dataclass(frozen=True)
class Task:
    """A work of so many bytes, which can be cut into so many parts."""

    index: int
    bytes: int = 1
    parts: int = 0
    part: int | None = None
    rows: int = 1

    @property
    def id(self) -> str:
        """As of shards."""
        whole = f"task-{self.index:05d}"
        return whole if self.part is None else f"{whole}.{self.part}of{self.parts}"

    def split(self) -> Sequence[Task]:
        """Into equal parts."""
        if self.part is not None or self.parts < 2:
            return ()
        return [Task(self.index, self.bytes // self.parts, self.parts, number + 1) for number in range(self.parts)]


def job(*, writes: bool = True) -> Job:
    """What attempts of a test have in common."""
    return Job(
        run_id="run", function=b"", function_name="module:function", kinds={"rows": "arrow"}, params={}, shared=(),
        writers={"output": None} if writes else {}, named=False, folder="memory://run", store={},
    )  # fmt: skip


@dataclass
class Simulation:
    """A scheduler on a virtual executor."""

    fate: Callable[[Attempt], Fate]
    slots: int = 2
    policy: Policy = field(default_factory=Policy)
    history: dict[str, list[Failure]] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    memory: int | None = None
    kills: bool = True
    writes: bool = True
    total: int | None = None
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """What the observer was told: verb, key without the run's id, what comes next."""
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.executor = VirtualExecutor(
            lambda _, attempt: self.fate(attempt), self.slots, memory=self.memory, kills=self.kills
        )

    def run(self, works: Iterable[Task], *, ordered: bool = False) -> Outcome:
        """Schedule until nothing is left."""
        made = job(writes=self.writes)
        taken = works if ordered else list(largest_first(list(works)))
        return run_all(
            self.executor, lambda work, number: Attempt(made, work, number), taken,
            self.policy, self.history, self, self.finished, self.total,
            clock=lambda: self.executor.now, jitter=random.Random(0),
        )  # fmt: skip

    @property
    def began(self) -> list[tuple[float, str]]:
        """When which attempt began, without the run's id."""
        return [(at, key.removeprefix("foreach-run-")) for at, key in self.executor.began]

    @property
    def counted(self) -> list[str]:
        """Which attempts counted."""
        return [key for verb, key, _ in self.events if verb == "done"]

    def started(self, attempt: Attempt) -> None:
        """Of an observer."""
        self.events.append(("started", attempt.key.removeprefix("run-"), ""))

    def done(self, attempt: Attempt, value: Any) -> None:
        """Of an observer."""
        self.events.append(("done", attempt.key.removeprefix("run-"), ""))
        self.values[attempt.work.id] = value

    def failed(self, attempt: Attempt, failure: Failure, then: str) -> None:
        """Of an observer."""
        assert failure.shard == attempt.work.id
        self.events.append(("failed", attempt.key.removeprefix("run-"), then))


@pytest.fixture
def simulate() -> type[Simulation]:
    """A scheduler on a virtual executor: `simulate(fate, slots=3).run(works)`."""
    return Simulation


@pytest.fixture
def task() -> type[Task]:
    """A work that nobody runs."""
    return Task


@pytest.fixture
def drivers() -> Callable[[str, tuple[str, str, bool] | None], tuple[int | None, int | None]]:
    """`drivers(namespace, death)` runs over the pair in a process: its exit code, and how many shards ran."""

    def run(namespace: str, death: tuple[str, str, bool] | None) -> tuple[int | None, int | None]:
        ours, theirs = context().Pipe(duplex=False)
        process = context().Process(target=drive, args=(os.environ["LAKEFLOW_HOME"], namespace, death, theirs))
        process.start()
        theirs.close()
        process.join()
        try:
            return process.exitcode, ours.recv()
        except EOFError:
            return process.exitcode, None

    return run
