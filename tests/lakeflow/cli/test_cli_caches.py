"""`lakeflow cache` from a shell: what there is, how large, and what goes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from command_line import lakeflow

from lakeflow.cache import Cache
from lakeflow.cache.reading import diff
from lakeflow.runs.foreach import foreach
from lakeflow_io.errors import CorruptFileError, FunctionError

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


@pytest.mark.parametrize("as_json", [True, False])
def test_ls_lists_what_is_whole(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """A cache that is damaged is an error, after all others were listed."""
    (tmp_path / "pairs" / "CURRENT").write_text("torn")

    code, out, said = lakeflow(capsys, "cache", "--root", str(tmp_path), "ls", *(["--json"] if as_json else []))

    assert code == 1
    assert ids[1] in out
    assert "CURRENT can't be decoded" in said


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


def test_a_damaged_index_is_repaired(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` finds it, `repair` computes it again, and a second time there is nothing to do."""
    command = ["cache", "--root", str(tmp_path)]
    index = tmp_path / "scores" / "versions" / ids[1] / "shard-0000.idx"
    index.write_bytes(index.read_bytes()[:-1] + b"?")

    damaged = lakeflow(capsys, *command, "verify", "scores")
    repaired = lakeflow(capsys, *command, "repair", "scores", "--json")
    again = lakeflow(capsys, *command, "repair", "scores")
    whole = lakeflow(capsys, *command, "verify", "scores", "--json")

    assert (damaged[0], "repair()" in damaged[2]) == (1, True)
    assert json.loads(repaired[1]) == {"cache": "scores", "repaired": ["shard-0000.idx"]}
    assert again[:2] == (0, "0 files repaired.\n")
    assert json.loads(whole[1]) == {"cache": "scores", "version": ids[1], "rows": 2, "current": True, "pinned": False}
    rolled = lakeflow(capsys, *command, "rollback", "scores", "--json")
    assert json.loads(rolled[1])["version"] == ids[0]


def test_columns_are_picked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order asked."""
    Cache("wide", tmp_path).load(pa.table({"id": [7], "a": [1], "b": [2]}), key="id")
    command = ["cache", "--root", str(tmp_path), "get", "wide", "7", "--columns"]

    picked = lakeflow(capsys, *command, "b, id", "--json")
    unknown = lakeflow(capsys, *command, "c")

    assert list(json.loads(picked[1]).items()) == [("b", 2), ("id", 7)]
    assert (unknown[0], "'c'" in unknown[2]) == (2, True)


def test_gc_gives_up_silent_runs(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """After a week, or the time that is given."""
    cache = Cache("scores", tmp_path)

    def fails(number: int) -> pa.Table:
        return pa.table({"id": [1 // number]})

    with pytest.raises(FunctionError):
        foreach([1, 0], fails, into=cache.sink("id"), run_id="monday", engine="serial", progress=False)
    command = ["cache", "--root", str(tmp_path), "gc", "scores"]

    early, given_up = (lakeflow(capsys, *command, *more, "--json") for more in ([], ["--older-than", "0s"]))
    again = lakeflow(capsys, *command, "--older-than", "0s")
    refused = [lakeflow(capsys, *command, "--older-than", span) for span in ("soon", "9999999999d", "9" * 400 + "s")]

    assert [json.loads(out)["given_up"] for _, out, _ in (early, given_up)] == [[], ["monday"]]
    assert json.loads(given_up[1])["bytes"] > 0
    assert again[:2] == (0, "0 removed, 0 bytes.\n")
    assert [code for code, _, _ in refused] == [2, 2, 2]
    assert cache.version.id == ids[-1]


def test_binary_keys_are_the_bytes_that_the_shell_gave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of any text and of what is none."""
    Cache("blobs", tmp_path).load(pa.table({"id": ["é".encode(), b"\xff"], "n": [1, 2]}), key="id")
    command = ["cache", "--root", str(tmp_path), "get", "--json", "blobs"]

    text, other = (lakeflow(capsys, *command, os.fsdecode(key)) for key in ("é".encode(), b"\xff"))

    assert [json.loads(out)["n"] for _, out, _ in (text, other)] == [1, 2]


def test_a_pinned_version_stays(tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Until it is unpinned: the current one by default; twice is once."""
    command = ["cache", "--root", str(tmp_path)]
    collect = [*command, "gc", "scores", "--keep", "1", "--json"]

    pinned = [lakeflow(capsys, *command, "pin", "scores", ids[0], "--json") for _ in range(2)]
    kept = lakeflow(capsys, *collect)
    unpinned = lakeflow(capsys, *command, "unpin", "scores", ids[0])
    collected = lakeflow(capsys, *collect)
    current = lakeflow(capsys, *command, "pin", "scores")
    no_version = lakeflow(capsys, *command, "unpin", "scores", "nope")
    no_cache = lakeflow(capsys, *command, "pin", "nope")

    fact = {"cache": "scores", "version": ids[0], "rows": 1, "current": False, "pinned": True}
    assert [(code, json.loads(out)) for code, out, _ in pinned] == [(0, fact)] * 2
    assert json.loads(kept[1])["removed"] == []
    assert unpinned[:2] == (0, f"scores: {ids[0]} isn't pinned.\n")
    assert json.loads(collected[1])["removed"] == ids[:1]
    assert current[:2] == (0, f"scores: {ids[1]} stays until it is unpinned.\n")
    assert [no_version[0], no_cache[0]] == [2, 2]
    assert "nope" in no_version[2]


def test_diff_prints_a_line_for_each_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output nothing else, so that lines can be cut, counted and piped; how many at the end, beside it."""
    cache = Cache("scores", tmp_path)
    old = cache.load(pa.table({"id": [1, 2, 3], "n": [1, 2, 3]}), key="id").id
    new = cache.load(pa.table({"id": [2, 3, 4], "n": [2, 0, 4]}), key="id").id
    command = ["cache", "--root", str(tmp_path), "diff", "scores"]

    code, out, said = lakeflow(capsys, *command, old)
    as_json = lakeflow(capsys, *command, old, new, "--json")
    back = lakeflow(capsys, *command, new, old, "--count")
    counts = lakeflow(capsys, *command, old, "--count", "--json")
    nothing = lakeflow(capsys, *command, new)

    assert (code, set(out.splitlines())) == (0, {"added\t4", "removed\t1", "changed\t3"})
    assert said == f"scores: 1 added, 1 removed, 1 changed from {old} to {new}.\n"
    rows = [json.loads(line) for line in as_json[1].splitlines()]
    assert {(row["id"], row["_change_type"]) for row in rows} == {(4, "added"), (1, "removed"), (3, "changed")}
    assert as_json[2] == ""
    assert back[:2] == (0, f"scores: 1 added, 1 removed, 1 changed from {new} to {old}.\n")
    assert json.loads(counts[1]) == {"old": old, "new": new, "added": 1, "removed": 1, "changed": 1}
    assert nothing[:2] == (0, "")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("é", "é"),
        ("a\nb\tc", '"a\\nb\\tc"'),
        ('"', '"\\""'),
        ("", ""),
        (b"b c", "b c"),
        (b"\xff", '"/w=="'),
        (("ann", 7), '["ann",7]'),
        ((b"\xff", -1), '["/w==",-1]'),
    ],
    ids=repr,
)
def test_diff_has_a_line_for_any_key(
    tmp_path: Path, key: object, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `cache get` takes it, composite keys always; in JSON where that would be more than a line, or no text."""
    parts = key if isinstance(key, tuple) else (key,)
    rows = pa.table({f"part {place}": [part] for place, part in enumerate(parts)})
    cache = Cache("odd", tmp_path)
    old = cache.load(rows.slice(0, 0), key=rows.column_names).id
    cache.load(rows, key=rows.column_names)

    code, out, _ = lakeflow(capsys, "cache", "--root", str(tmp_path), "diff", "odd", old)

    assert (code, out) == (0, f"added\t{line}\n")
    if isinstance(key, tuple):
        code, out, _ = lakeflow(capsys, "cache", "--root", str(tmp_path), "get", "odd", line, "--json")
        assert (code, len(json.loads(out))) == (0, 2)


def test_diff_prints_changes_as_they_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all of them at the end: memory holds a block, and whoever reads has what was found before an error."""
    cache = Cache("scores", tmp_path)
    old = cache.load(pa.table({"id": pa.array([], pa.int64())}), key="id").id
    cache.load(pa.table({"id": range(100)}), key="id")
    compared, blocks = diff._changes, iter([True])
    monkeypatch.setattr(diff, "_BLOCK_ROWS", 10)

    def second_fails(*given: Any) -> Any:
        if next(blocks, False):
            return compared(*given)
        raise CorruptFileError("damaged")

    monkeypatch.setattr(diff, "_changes", second_fails)

    code, out, said = lakeflow(capsys, "cache", "--root", str(tmp_path), "diff", "scores", old)

    assert code == 1
    assert 0 < len(out.splitlines()) <= 20
    assert "damaged" in said


def test_diff_refuses_what_can_not_be_compared(
    tmp_path: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that isn't there, a cache without one, and versions with other keys."""
    other = Cache("scores", tmp_path).load(pa.table({"name": ["a"]}), key="name").id
    command = ["cache", "--root", str(tmp_path), "diff"]

    keys = lakeflow(capsys, *command, "scores", ids[0], other)
    version = lakeflow(capsys, *command, "scores", "nope")
    cache = lakeflow(capsys, *command, "nope", ids[0])

    assert [keys[0], version[0], cache[0]] == [2, 2, 2]
    assert "other keys" in keys[2]
    assert "nope" in version[2]
    assert keys[1] == version[1] == cache[1] == ""
