"""Caches on a store in memory, and on a real S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cache_place import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, namespace: str, tmp_path: Path) -> Place:
    """A root on each of both."""
    if request.param == "memory":
        return Place(f"memory://plain/{namespace}", {}, tmp_path)
    return request.getfixturevalue("s3_place")


@pytest.fixture
def s3_place(request: pytest.FixtureRequest, namespace: str, tmp_path: Path) -> Place:
    """A root that other processes see, too."""
    return Place(f"s3://plain/{namespace}", request.getfixturevalue("seaweed").store_properties, tmp_path)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has builds cut shards at so many rows."""
    return lambda rows: monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", rows)
