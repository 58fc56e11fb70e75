"""A Dask worker that dies takes its call down, and says so."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow_engines.executors import open_executor
from lakeflow_io.errors import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fragile() -> Iterator[Any]:
    """A cluster of its own: its workers are killed."""
    import distributed
    from dask import config

    with (
        config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


@pytest.mark.timeout(60)
def test_a_killed_worker_is_a_worker_lost_error(fragile: Any) -> None:
    """The call that ran when the process died ends with WorkerLostError; the next one runs elsewhere."""

    def die(x: int) -> int:
        if x == 0:
            os._exit(1)
        return x

    with closing(open_executor(fragile)) as executor:
        executor.submit("die-0", die, 0)
        lost = executor.next()
        executor.submit("die-1", die, 1)
        fine = executor.next()

    assert isinstance(lost.error, WorkerLostError)
    assert "die-0" in lost.error.message
    assert fine.value == 1
