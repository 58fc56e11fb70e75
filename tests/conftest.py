"""Real parts for every test: an S3 server, two kinds of catalog, a Dask cluster of processes."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, settings

import lakeflow as lf
from lakeflow.demo.seaweed import Seaweed, run_seaweed
from lakeflow_io.keyed import binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Derandomised: a red test is red again; timing belongs to the benchmarks, not here.
settings.register_profile(
    "lakeflow",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# Other examples each time, and many: `make soak`.
settings.register_profile("long", settings.get_profile("lakeflow"), derandomize=False, max_examples=6000)
settings.load_profile("lakeflow")

_numbers = itertools.count()

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 * 2**30
_OF_THE_USER = ("PYICEBERG_", "AWS_", "LAKEFLOW_")


def pytest_configure() -> None:
    """Put what tests write into memory, where that has room: a disk has to be waited for at each commit."""
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, and no process it starts, sees configuration, credentials, caches or lakehouse of its user."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_OF_THE_USER):
                patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("PYICEBERG_HOME", str(tmp_path_factory.getbasetemp()))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))
        yield


@pytest.fixture(autouse=True)
def _nothing_for_the_next() -> Iterator[None]:
    """A test that leaves a lakehouse or credentials in the environment fails, not one that comes after it."""
    before = _told()
    yield
    if changed := before.items() ^ _told().items():
        for name, _ in changed:
            os.environ.pop(name, None)
        os.environ.update(before)
        pytest.fail(f"the test left its mark on the environment: {', '.join(sorted({name for name, _ in changed}))}")


def _told() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith((*_OF_THE_USER, "XDG_"))}


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A real S3 server and Iceberg REST catalog, one for each process that runs tests."""
    with run_seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"ns{os.getpid()}x{next(_numbers)}"


@pytest.fixture
def embedded(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> lf.Lake:
    """A lake on SQLite and local files: what `connect()` gives without arguments."""
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path / "lakehouse"))
    return lf.connect()


@pytest.fixture(params=["embedded", "rest"])
def lake(request: pytest.FixtureRequest) -> lf.Lake:
    """A lake on each kind of catalog and store."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    return lf.connect(**request.getfixturevalue("seaweed").catalog_properties)


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    """A cluster of two worker processes on loopback."""
    import dask
    import distributed

    unwatched = {  # an idle cluster would take a tenth of a core, for each process that runs tests
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "500ms",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with (
        dask.config.set(unwatched),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def numbers() -> Callable[..., pa.Table]:
    """A maker of rows: `id` counts up from `start`, `text` repeats it, `half` is id / 2."""

    def make(rows: int, start: int = 0) -> pa.Table:
        ids = range(start, start + rows)
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "text": pa.array([f"row {each}" for each in ids], pa.string()),
                "half": pa.array([each / 2 for each in ids], pa.float64()),
            }
        )

    return make


@pytest.fixture(params=[True, False], ids=["in C", "not compiled"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Once with the compiled library, once without."""
    if not request.param:
        monkeypatch.setattr(binding, "library", lambda: None)
    binding.keyed_library.cache_clear()
    assert (binding.keyed_library() is not None) == request.param
    yield request.param
    binding.keyed_library.cache_clear()
