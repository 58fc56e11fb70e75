"""A server without delays, and the clients that its users have; the command, with small data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.s3like import Access, run_s3like

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.s3like import S3Like

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running() -> Iterator[S3Like]:
    """One server for the tests of a file."""
    with run_s3like("none") as started:
        yield started


@pytest.fixture
def server(running: S3Like) -> Iterator[S3Like]:
    """The file's server, with its counts at zero; rules and faults go with the test."""
    running.reset()
    yield running
    running.use("none")
    running.guard(Access())


@pytest.fixture(scope="module")
def client(running: S3Like) -> Callable[..., Any]:
    """A maker of boto3 clients that don't retry."""
    import boto3
    from botocore.config import Config

    def make(key: str = "s3like", region: str = "us-east-1") -> Any:
        return boto3.client(
            "s3",
            endpoint_url=running.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            region_name=region,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    return make


@pytest.fixture(scope="module")
def s3(client: Callable[..., Any]) -> Any:
    """A boto3 client."""
    return client()


@pytest.fixture(scope="module")
def store(running: S3Like) -> Any:
    """An obstore store."""
    from obstore.store import S3Store

    return S3Store(
        running.bucket,
        endpoint=running.endpoint,
        region="us-east-1",
        access_key_id="s3like",
        secret_access_key="secret",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of data for all tests."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def benchmark(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, str]]:
    """Run the command with arguments; returns its JSON and what it printed."""
    monkeypatch.setenv("LAKEFLOW_BENCH_HOME", str(home))
    out = tmp_path / "out.json"

    def run(*arguments: str) -> tuple[Any, str]:
        command = [sys.executable, "-m", "benchmarks", *arguments, "--scale", "small", "--json", str(out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(out.read_text()), done.stdout

    return run
