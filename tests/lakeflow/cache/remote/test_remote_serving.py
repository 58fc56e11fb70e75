"""Caches of a store over HTTP and from a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pyarrow as pa
import pytest
from command_line import lakeflow

from lakeflow.serve import app

if TYPE_CHECKING:
    from cache_place import Place


@pytest.fixture
def arguments(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What points the command line to the place; copies go elsewhere than those of the test itself."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.machines / "shell"))
    options = [part for name, value in place.storage.items() for part in ("-p", f"{name}={value}")]
    return [*options, "cache", "--root", place.root]


def test_from_a_shell(place: Place, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """All commands take a URL as `--root`, and the properties of the store as those of a catalog."""
    empty = lakeflow(capsys, *arguments, "ls")
    first = place.cache().load(pa.table({"id": [1], "x": [1]}), key="id").id
    second = place.cache().load(pa.table({"id": [1, 2], "x": [2, 2]}), key="id").id

    def said(*command: str) -> str:
        code, out, error = lakeflow(capsys, *arguments, *command)
        assert (code, error) == (0, "")
        return out

    assert (empty[0], empty[1]) == (0, "")
    assert place.root in empty[2]
    assert [(each["cache"], each["rows"]) for each in json.loads(said("ls", "--json"))] == [("scores", 2)]
    assert [each["version"] for each in json.loads(said("versions", "--json", "scores"))] == [first, second]
    assert json.loads(said("get", "--json", "scores", "1")) == {"id": 1, "x": 2}
    assert json.loads(said("stats", "--json", "scores"))["disk_bytes"] == sum(place.objects().values())
    assert f"{second} is whole" in said("verify", "scores")
    assert f"{first} is current" in said("rollback", "scores")
    assert json.loads(said("gc", "--json", "--keep", "1", "scores"))["removed"] == []  # within the grace of an hour
    assert said("rollback", "scores", second)
    assert json.loads(said("gc", "--json", "--keep", "1", "--grace", "0", "scores"))["removed"] == [first]


def test_over_http(place: Place) -> None:
    """Rows, batches, what the cache is, readiness; a name that isn't there is a 404 like any other."""
    version = place.cache().load(pa.table({"id": [1, 2], "x": [5, 6]}), key="id").id
    storage = {**place.storage, "lakeflow.shard-cache.folder": str(place.machines / "server")}
    transport = httpx.ASGITransport(app(place.root, require=["scores"], storage=storage))

    async def ask() -> list[Any]:
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            row = await client.get("/v1/caches/scores/1")
            batch = await client.post("/v1/caches/scores:batchGet", json={"keys": [2, 3]})
            cache = await client.get("/v1/caches/scores")
            missing = await client.get("/v1/caches/nothing/1")
            ready, metrics = await client.get("/readyz"), await client.get("/metrics")
            return [row, batch, cache, missing, ready, metrics]

    row, batch, cache, missing, ready, metrics = anyio.run(ask)

    assert (row.json(), row.headers["etag"]) == ({"id": 1, "x": 5}, f'"{version}"')
    assert [each and each["x"] for each in batch.json()["rows"]] == [6, None]
    assert (cache.json()["version"], cache.json()["rows"]) == (version, 2)
    assert (missing.status_code, place.root in missing.text) == (404, False)
    assert (ready.status_code, metrics.status_code) == (200, 200)
    assert 'lakeflow_cache_version_age_seconds{cache="scores"}' in metrics.text
