"""A Metaflow flow whose foreach does nothing, run on this machine.

python -m benchmarks.foreach_flow run --tasks 30
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from metaflow import FlowSpec, Parameter, step

__all__ = ["NothingFlow", "run_flow"]


class NothingFlow(FlowSpec):
    """start -> a task an item -> join -> end."""

    tasks = Parameter("tasks", default=10)

    @step
    def start(self) -> None:
        """Fan out."""
        self.items = list(range(int(self.tasks)))
        self.next(self.nothing, foreach="items")

    @step
    def nothing(self) -> None:
        """What each task does."""
        self.ran = 1
        self.next(self.join)

    @step
    def join(self, inputs: list[NothingFlow]) -> None:
        """Count."""
        self.total = sum(each.ran for each in inputs)
        self.next(self.end)

    @step
    def end(self) -> None:
        """Say how many ran."""
        print(f"ran={self.total}")


def run_flow(tasks: int, workers: int) -> int:
    """Run the flow in a folder of its own; how many tasks ran.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.foreach_flow", "--no-pylint", "--quiet", "run"),
                *("--tasks", str(tasks), "--max-workers", str(workers), "--max-num-splits", str(tasks)),
            ],
            env={**os.environ, "METAFLOW_DATASTORE_SYSROOT_LOCAL": home, "METAFLOW_USER": "benchmark"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    return int(done.stdout.rpartition("ran=")[2].split()[0])


if __name__ == "__main__":
    NothingFlow()
