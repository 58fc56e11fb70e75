"""The benchmark of shards, on few: figures are there, and what they promise holds."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import shards
from benchmarks.shards import least_possible, row_group_sizes, run_shards, zipf_files
from lakeflow_io.iceberg.plan import Piece

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SHARDS = 320


def test_few_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where row groups are a hundredth of a shard; sizes and seconds reach the file."""
    monkeypatch.setenv("LAKEFLOW_BENCH_HOME", str(tmp_path / "bench"))
    monkeypatch.setattr(shards, "zipf_files", partial(zipf_files, files=200, total=100_000 * shards.MB))

    result = run_shards(files=[SHARDS], most=12, out=str(tmp_path / "out.json"))

    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(result))
    for ranges in result["balance"].values():
        assert list(ranges) == ["2-9", "10-12"]
        assert all(1 <= each["max_to_mean"] <= 1.10 for each in ranges.values())
    assert len(result["many"]) == 3
    for figures in result["many"].values():
        assert figures["shards"] == SHARDS
        assert figures["bytes"] / SHARDS < figures["alone_bytes"]


def test_the_least_possible() -> None:
    """The mean, the largest row group, or what has to meet somewhere."""
    four = [Piece(f"f{n}", size, 0, size, 1, "", "") for n, size in enumerate((10, 10, 10, 10))]
    one = Piece("g", 100, 0, 100, 1, "", "", (4, 90))

    assert least_possible(row_group_sizes(four), 4) == 10
    assert least_possible(row_group_sizes(four), 3) == 20
    assert least_possible(row_group_sizes([*four, one]), 2) == 90
