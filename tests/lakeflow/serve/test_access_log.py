"""A line for each request: what it was and what it cost, and nothing that a client wants nobody to read."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest

from lakeflow.cache import Cache
from lakeflow.serve import access, app

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one cache."""
    Cache("people", tmp_path / "caches").load(pa.table({"name": ["secret"], "n": [1]}), key="name")
    return tmp_path / "caches"


def test_what_a_line_says(root: Path, ask: Any, caplog: Any) -> None:
    """Time, method, route, status, milliseconds, bytes, cache and keys; of a cache that isn't there no name."""
    before = datetime.now(UTC)
    with caplog.at_level(logging.INFO, "lakeflow.serve.access"):
        row, batch, _, head = ask(
            app(root),
            ("GET", "/v1/caches/people/secret", {"headers": {"authorization": "Bearer secret"}}),
            ("POST", "/v1/caches/people:batchGet", {"json": {"keys": ["secret", "secret2"]}}),
            ("GET", "/v1/caches/secret?secret=secret"),
            ("HEAD", "/v1/caches/people/secret"),
        )

    lines = [json.loads(record.getMessage()) for record in caplog.records]
    shown = [[line[name] for name in ("method", "route", "status", "bytes", "cache", "keys")] for line in lines]
    assert shown == [
        ["GET", "/v1/caches/{name}/{key}", 200, len(row.content), "people", 1],
        ["POST", "/v1/caches/{name}:batchGet", 200, len(batch.content), "people", 2],
        ["GET", "/v1/caches/{name}", 404, lines[2]["bytes"], None, 0],
        ["HEAD", "/v1/caches/{name}/{key}", 200, 0, "people", 1],
    ]
    assert len(row.content) == int(head.headers["content-length"])
    assert all(line["ms"] > 0 and set(line) >= {"time", "ms"} for line in lines)
    assert abs((datetime.fromisoformat(lines[0]["time"]) - before).total_seconds()) < 60
    assert "secret" not in "".join(record.getMessage() for record in caplog.records)


def test_without_a_level_nothing_is_logged(root: Path, ask: Any, caplog: Any) -> None:
    """Where the application is mounted, it is the outer one's to say."""
    ask(app(root), ("GET", "/healthz"))

    assert [record for record in caplog.records if record.name == "lakeflow.serve.access"] == []


def test_lines_on_standard_output(root: Path, tmp_path: Path, serving: Any) -> None:
    """Nothing but lines of JSON, of all processes."""
    with (
        (tmp_path / "log").open("wb") as output,
        serving(root, "--workers", "2", output=output) as (_, url),
        httpx.Client(base_url=url, timeout=120, headers={"connection": "close"}) as client,
    ):
        for _ in range(8):
            client.get("/v1/caches/people/secret")

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["status"] for line in lines if line["cache"] == "people"] == [200] * 8


def test_nobody_reads_the_lines(root: Path, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has gone takes no request with it."""
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(access, "_STANDARD_OUTPUT", writer)
    monkeypatch.setattr(access, "_log", logging.getLogger("lakeflow.serve.access.unread"))
    access.print_lines()

    assert [each.status_code for each in ask(app(root), *[("GET", "/healthz")] * 2)] == [200, 200]
    os.close(writer)
