"""A Dask cluster that goes away ends a run; it doesn't hang it."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

distributed = pytest.importorskip("distributed")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of its own, which the test closes."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where a task calls when it has begun, and is kept waiting."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.timeout(120)
@pytest.mark.parametrize("by", ["address", "client"])
def test_a_scheduler_that_is_closed_during_a_run_is_a_run_error(
    pair: Any, cluster: Any, listener: socket.socket, by: str
) -> None:
    """The scheduler goes while the first shard runs: a RunError, and nothing is visible."""
    ended: list[Any] = []
    client = distributed.Client(cluster, set_as_default=False) if by == "client" else None
    listener.settimeout(60)
    address = listener.getsockname()

    def lasting(rows: Any) -> Any:
        with socket.create_connection(address) as connected:
            connected.recv(1)  # nothing ever comes
        return rows

    def drive() -> None:
        engine = client or cluster.scheduler_address
        try:
            ended.append(lf.foreach(pair.source.scan().shards(n=4), lasting, into=pair.into, engine=engine, retries=0))
        except BaseException as error:  # noqa: BLE001  (whatever it is, the assertion shows it)
            ended.append(error)

    driver = threading.Thread(target=drive, daemon=True)
    driver.start()
    running, _ = listener.accept()
    cluster.close()
    driver.join(60)
    running.close()

    assert not driver.is_alive()
    [error] = ended
    assert isinstance(error, RunError), repr(error)
    assert pair.written == []
