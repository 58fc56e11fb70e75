"""`lakeflow cache` from a shell: what there is, how large, and what goes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from command_line import lakeflow

from lakeflow.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Return the versions of a cache of two; there is another cache, and things that are none."""
    cache = Cache("scores", tmp_path)
    versions = [cache.load(pa.table({"id": range(rows)}), key="id", run_id=f"r{rows}").id for rows in (1, 2)]
    Cache("pairs", tmp_path).load(pa.table({"a": [1], "b": ["x"]}), key=["a", "b"])
    (tmp_path / "no cache").mkdir()
    (tmp_path / "file").touch()
    return versions


def test_ls_lists_caches(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its rows and version, by name; an empty root has none."""
    code, out, _ = lakeflow(capsys, "cache", "--root", str(tmp_path), "ls", "--json")
    none = lakeflow(capsys, "cache", "--root", str(tmp_path / "nowhere"), "ls")

    assert code == 0
    assert [(each["cache"], each["rows"]) for each in json.loads(out)] == [("pairs", 1), ("scores", 2)]
    assert json.loads(out)[1]["version"] == ids[1]
    assert none[:2] == (0, "")
    assert "No caches" in none[2]


def test_versions_tell_pins(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Which is current and which are pinned."""
    Cache("scores", tmp_path).pin(ids[0])

    _, out, _ = lakeflow(capsys, "cache", "--root", str(tmp_path), "versions", "--json", "scores")

    assert [(ids[0], False, True), (ids[1], True, False)] == [
        (each["version"], each["current"], each["pinned"]) for each in json.loads(out)
    ]


def test_stats_add_up(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, shards, versions, and the bytes of the folder."""
    code, out, _ = lakeflow(capsys, "cache", "--root", str(tmp_path), "stats", "--json", "scores")
    text = lakeflow(capsys, "cache", "--root", str(tmp_path), "stats", "pairs")

    facts = json.loads(out)
    size = sum(path.stat().st_size for path in (tmp_path / "scores").rglob("*") if path.is_file())
    assert code == 0
    assert (facts["version"], facts["run_id"], facts["key"]) == (ids[1], "r2", "id")
    assert (facts["rows"], facts["shards"], facts["versions"], facts["columns"]) == (2, 1, 2, 1)
    assert size == facts["disk_bytes"]
    assert "key         a, b\n" in text[1]


def test_gc_removes_versions_only_when_told_how_many_stay(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --keep what is published stays, whatever number of versions its publisher keeps."""
    (tmp_path / "scores" / "versions" / "stray").mkdir()
    command = ["cache", "--root", str(tmp_path), "gc", "scores", "--json"]

    swept = lakeflow(capsys, *command)
    waited = lakeflow(capsys, *command, "--keep", "1", "--grace", "1000")
    collected = lakeflow(capsys, *command, "--keep", "1")
    refused = lakeflow(capsys, *command, "--keep", "0")

    assert [["stray"], [], ids[:1]] == [json.loads(each[1])["removed"] for each in (swept, waited, collected)]
    assert refused[0] == 2
    assert "keep=0" in refused[2]
    assert lakeflow(capsys, "cache", "--root", str(tmp_path), "gc", "nope")[0] == 2


def test_binary_keys_are_the_bytes_that_the_shell_gave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of any text and of what is none."""
    Cache("blobs", tmp_path).load(pa.table({"id": ["é".encode(), b"\xff"], "n": [1, 2]}), key="id")
    command = ["cache", "--root", str(tmp_path), "get", "--json", "blobs"]

    text, other = (lakeflow(capsys, *command, os.fsdecode(key)) for key in ("é".encode(), b"\xff"))

    assert [json.loads(out)["n"] for _, out, _ in (text, other)] == [1, 2]
