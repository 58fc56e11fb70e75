"""Runs on a store without conditional writes: one driver, one attempt a shard, and the same rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs import protocol
from lakeflow_io.errors import FunctionError, RunAbandonedError, UnsupportedError
from lakeflow_io.storage.object_store import ObjectStoreTransport

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


@pytest.fixture(params=["refused", "ignored"], autouse=True)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The condition is refused, or taken for nothing."""

    def refused(self: Any, uri: str, data: Any) -> bool:
        del self, data
        raise UnsupportedError(f"The store of {uri} has no conditional writes.")

    def ignored(self: Any, uri: str, data: Any) -> bool:
        self.put(uri, data)
        return True

    monkeypatch.setattr(ObjectStoreTransport, "put_if_absent", {"refused": refused, "ignored": ignored}[request.param])


def test_a_run_resumes_and_commits_once(
    pair: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what it can't do, makes no backup attempts, and goes on from its markers."""
    flag = tmp_path / "flag"
    policies: list[Any] = []
    run_all = protocol.run_all

    def seen(*arguments: Any) -> Any:
        policies.append(arguments[3])
        return run_all(*arguments)

    monkeypatch.setattr(protocol, "run_all", seen)

    def fails_once(rows: pa.Table) -> pa.Table:
        if 0 in rows["id"].to_pylist() and not flag.exists():
            raise ValueError("not now")
        return rows

    def run() -> lf.Run:
        return lf.foreach(pair.source.scan().shards(n=4), fails_once, into=pair.into, run_id="r", engine="serial")

    with pytest.raises(FunctionError):
        run()
    flag.touch()
    made, again = run(), run()

    assert list(range(40)) == pair.written
    assert (made.snapshot_id, again.ran) == (again.snapshot_id, 0)
    assert "no conditional writes" in caplog.text
    assert {policy.speculate for policy in policies} == {False}


def test_a_run_that_is_found_by_its_id(pair: Any, embedded: lf.Lake, tmp_path: Path) -> None:
    """Resumed, with its shared table; looked at again once it has committed; given up."""
    flag = tmp_path / "flag"

    def named(rows: pa.Table, names: pa.Table) -> pa.Table:
        if not flag.exists():
            raise ValueError(names["name"].to_pylist())
        return rows

    def begin(run_id: str) -> None:
        with pytest.raises(FunctionError, match=r"\['a'\]"):
            lf.foreach(
                pair.source.scan().shards(n=4), named, into=pair.into, run_id=run_id, engine="serial",
                shared={"names": {"name": ["a"]}},
            )  # fmt: skip

    begin("given-up")
    [given_up] = embedded.collect_runs(older_than=timedelta(0))
    begin("resumed")
    flag.touch()
    resumed, again = (embedded.resume("resumed", named, engine="serial") for _ in range(2))

    assert (given_up.run_id, given_up.state) == ("given-up", "abandoned")
    assert (resumed.snapshot_id, resumed.ran, again.ran) == (again.snapshot_id, 4, 0)
    assert list(range(40)) == pair.written
    with pytest.raises(RunAbandonedError):
        embedded.resume("given-up", named, engine="serial")
