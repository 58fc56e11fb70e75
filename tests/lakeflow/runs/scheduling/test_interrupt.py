"""Ctrl-C: once, what runs ends and nothing else begins; twice, it stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_engines.executors import Fate
from lakeflow_io.errors import FunctionError, RunInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.runs.attempts.attempt import Attempt


@pytest.fixture(autouse=True)
def _as_in_a_shell() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt; where tests run in the background it may be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def presses(times: int) -> Any:
    """A fate in which somebody presses Ctrl-C while the fourth work runs."""

    def fate(attempt: Attempt) -> Fate:
        if attempt.work.index == 3:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return Fate(1.0, {})

    return fate


def test_once_lets_what_runs_end(simulate: Any, task: Any) -> None:
    """Nothing new begins, what ran counts, and the message says how to go on."""
    run = simulate(presses(1), slots=2)

    with pytest.raises(RunInterruptedError, match="Run run was interrupted: 4 works") as caught:
        run.run([task(index) for index in range(20)])

    assert len(run.counted) == len(run.executor.began) == 4
    assert "lakeflow resume run" in str(caught.value.hint)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_twice_stops_at_once(simulate: Any, task: Any) -> None:
    """KeyboardInterrupt, wherever the driver is."""
    with pytest.raises(KeyboardInterrupt):
        simulate(presses(2)).run([task(index) for index in range(20)])

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_that_was_all_but_done_is_done(simulate: Any, task: Any) -> None:
    """Pressed while the last works run: nothing is left, so nothing is interrupted."""
    run = simulate(presses(1), slots=4)
    run.run([task(index) for index in range(4)])

    assert len(run.counted) == 4


def test_a_failure_is_told_before_an_interruption(simulate: Any, task: Any) -> None:
    """What is wrong is worth more than what is left."""

    def fate(attempt: Attempt) -> Fate:
        if attempt.work.index == 2:
            signal.raise_signal(signal.SIGINT)
            return Fate(1.0, error=FunctionError("bad"))
        return Fate(1.0, {})

    with pytest.raises(FunctionError):
        simulate(fate).run([task(index) for index in range(20)])


def test_values_are_kept_nowhere(simulate: Any, task: Any) -> None:
    """A run without an output can't be resumed, and doesn't say so."""
    with pytest.raises(RunInterruptedError) as caught:
        simulate(presses(1), writes=False).run([task(index) for index in range(20)])

    assert "resume" not in str(caught.value.hint)


SCRIPT = """
import pathlib, sys, time
import lakeflow as lf

def slow(rows):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(1.0)
    return rows

if __name__ == "__main__":
    pairs = lf.connect().table("ns.source")
    try:
        lf.foreach(pairs.scan().shards(n=4), slow, into=lf.connect().table("ns.into"), engine="dask", slots=1,
                   run_id="stopped")
    except lf.errors.RunInterruptedError as error:
        print("interrupted", error)
"""


@pytest.mark.timeout(120)
def test_a_terminal_sends_it_to_workers_too(tmp_path: Path, embedded: Any, numbers: Any) -> None:
    """Ctrl-C reaches all processes of a terminal: those of our own cluster leave it to the driver, and finish."""
    source = embedded.create_table("ns.source", numbers(1).schema)
    for start in range(0, 40, 10):
        source.append(numbers(10, start))
    into = embedded.create_table("ns.into", numbers(1).schema)
    script, began = tmp_path / "script.py", tmp_path / "began"
    script.write_text(SCRIPT)
    driver = subprocess.Popen(
        [sys.executable, str(script), str(began)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    while not began.exists() and driver.poll() is None:
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGINT)
    said, _ = driver.communicate(timeout=100)

    assert "interrupted Run stopped was interrupted" in said
    assert "lakeflow resume stopped" in said
    done = list(Path(into.location.removeprefix("file://")).rglob("done/*.json"))
    assert 1 <= len(done) < 4
