"""Runs on a store without conditional writes: one driver, one attempt a shard, and the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs import protocol
from lakeflow_io.errors import FunctionError, UnsupportedError
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
        return lf.foreach(
            pair.source.scan().shards(n=4), fails_once, into=pair.into, run_id="r", engine="serial",
            shared=None,
        )  # fmt: skip

    with pytest.raises(FunctionError):
        run()
    flag.touch()
    made, again = run(), run()

    assert list(range(40)) == pair.written
    assert (made.snapshot_id, again.ran) == (again.snapshot_id, 0)
    assert "no conditional writes" in caplog.text
    assert {policy.speculate for policy in policies} == {False}
