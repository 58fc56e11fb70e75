"""A Dask cluster that goes away ends a run; it doesn't hang it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of its own, which the test closes."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as made:  # fmt: skip
        yield made


@pytest.mark.timeout(120)
@pytest.mark.parametrize("by", ["address", "client"])
def test_a_scheduler_that_is_closed_during_a_run_is_a_run_error(
    pair: Any, cluster: Any, tmp_path: Path, by: str
) -> None:
    """The scheduler goes while the first shard runs: RunError within seconds, and nothing is visible."""
    started = tmp_path / "started"
    ended: list[Any] = []
    client = distributed.Client(cluster, set_as_default=False) if by == "client" else None

    def slow(rows: Any) -> Any:
        started.touch()
        time.sleep(3)
        return rows

    def drive() -> None:
        engine = client or cluster.scheduler_address
        try:
            ended.append(lf.foreach(pair.source.scan().shards(n=4), slow, into=pair.into, engine=engine, retries=0))
        except BaseException as error:  # noqa: BLE001  (whatever it is, the assertion shows it)
            ended.append(error)

    driver = threading.Thread(target=drive, daemon=True)
    driver.start()
    while not started.exists() and driver.is_alive():
        time.sleep(0.05)
    cluster.close()
    driver.join(60)

    assert not driver.is_alive()
    [error] = ended
    assert isinstance(error, RunError), repr(error)
    assert pair.written == []
