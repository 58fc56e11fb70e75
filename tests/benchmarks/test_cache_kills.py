"""A cache whose writer, collector and readers are killed at random stays whole, and what would go wrong is found."""

from __future__ import annotations

import json
import os
import sys
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

import lakeflow as lf
from benchmarks import __main__ as command
from benchmarks.cache.kills import kills, run_kills
from benchmarks.cache.kills.check import Found, Seen, half_records, leaked, look
from benchmarks.cache.kills.place import Place
from benchmarks.cache.kills.rounds import PHASES, Rounds
from benchmarks.cache.kills.rows import CHANGED, IDS, NAME, PARTS, run_id, version_rows, wrong
from benchmarks.cache.kills.work import publish
from benchmarks.chaos.processes import Processes
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.demo.seaweed import Seaweed

KILLS = int(os.environ.get("LAKEFLOW_CACHE_KILLS", "5"))
# So many meet all phases.
ALL_PHASES = 50


# It starts some twenty processes, one after the other, and each kill is followed by a look at every file.
@pytest.mark.timeout(1200)
def test_a_killed_cache_stays_whole(tmp_path: Path) -> None:
    """Nothing is torn, goes back, is published twice or done twice, and a collection leaves nothing."""
    result = run_kills(kills=KILLS, seed=20, out=str(tmp_path / "out.json"))

    assert result["clean"], result
    assert sum(result["killed"].values()) == result["kills"] >= KILLS
    assert result["tasks_redone"] <= result["tasks_killed"]
    if KILLS >= ALL_PHASES:
        assert min(result["killed"].values()) > 0
        assert list(result["killed"]) == list(PHASES)
    assert json.loads((tmp_path / "out.json").read_text()) == result


@pytest.mark.timeout(1200)  # it may be stuck twice, and is to say so
def test_a_killed_cache_on_a_store_stays_whole(tmp_path: Path, namespace: str, seaweed: Seaweed) -> None:
    """The same, where claims run out and the pointer is replaced by conditional puts."""
    place = Place(f"s3://plain/{namespace}", seaweed.store_properties, str(tmp_path / "machines"))

    result = kills.play(place, tmp_path / "notes", max(KILLS // 2, 2), seed=21)

    assert result["clean"], result
    assert sum(result["killed"].values()) == result["kills"] > 0


@pytest.mark.parametrize("name", ["versions/20990101T000000-00000000/shard-0000.arrow", "building/x", "staging/y"])
def test_what_is_left_on_a_store_is_found(name: str, tmp_path: Path, namespace: str) -> None:
    """Objects that the current version doesn't need, and builds on the machine of a writer."""
    place = Place(f"memory://plain/{namespace}", {}, str(tmp_path / "machines"))
    publish(place.cache(keep=1, grace=0), 1, str(tmp_path / "notes"))
    before = leaked(place)
    open_transport({}).put(f"{place.root}/{NAME}/{name}", b"")
    build = tmp_path / "machines" / "here" / "building" / "z"
    build.mkdir()

    assert (before, leaked(place)) == ([], [name, str(build)])
    assert place.done_parts(run_id(1)) == set(range(PARTS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a cache that has version 1, published by a run."""
    publish(lf.Cache(NAME, tmp_path, keep=1), 1, str(tmp_path / "notes"))
    return tmp_path


def test_a_whole_version_is_seen_as_one(root: Path) -> None:
    """What was published, by a run and by an update of it, is right, and leaves nothing about."""
    cache = lf.Cache(NAME, root, keep=1)
    found, first = Found(), cache.version.id
    seen = [look(Place(str(root)), found)]
    publish(cache, 2, str(root / "notes"))
    seen.append(look(Place(str(root)), found))

    assert seen == [Seen(1, first, run_id(1)), Seen(2, cache.version.id, run_id(2))]
    assert found.clean
    assert (Place(str(root)).done_parts(run_id(1)), leaked(Place(str(root))), half_records(Place(str(root)))) == (
        set(range(PARTS)),
        [],
        0,
    )
    assert wrong(IDS, version_rows(IDS, 2).append_column("found", [np.ones(len(IDS), bool)])) == (0, 2)


def test_mixed_rows_are_found() -> None:
    """A row of another version, one with another checksum, and one that isn't there are counted."""
    ids = np.arange(100, 110)
    ids[0] = 0
    right = version_rows(ids, 4)
    columns = {name: right[name].to_numpy().copy() for name in right.column_names}
    columns["version"][3] = 3
    columns["checksum"][5] = 5
    there = np.arange(10) != 7

    assert wrong(ids, pa.table({**columns, "found": there})) == (3, 4)


def test_rows_of_an_update_are_of_the_version_before() -> None:
    """But for the few that it changes."""
    versions = version_rows(np.arange(6), 2)["version"].to_pylist()

    assert versions == [2] * CHANGED + [1] * (6 - CHANGED)


@pytest.mark.parametrize("broken", ["damaged", "gone", "pointer", "rows"])
def test_a_broken_version_is_found(broken: str, root: Path) -> None:
    """A file that is damaged or gone, a pointer to nothing, and rows of another version."""
    cache, found = lf.Cache(NAME, root), Found()
    folder = root / NAME / "versions" / cache.version.id
    payload = next(folder.glob("*.arrow"))
    if broken == "damaged":
        content = bytearray(payload.read_bytes())
        content[len(content) // 2] ^= 1
        payload.write_bytes(content)
    elif broken == "gone":
        payload.unlink()
    elif broken == "pointer":
        pointer = root / NAME / "CURRENT"
        pointer.write_text(pointer.read_text().replace(cache.version.id, "20990101T000000-00000000"))
    else:
        cache.update(version_rows(IDS[5:6], 9), run_id=run_id(1) + "-other")

    assert look(Place(str(root)), found) is None
    assert len(found.broken) == 1
    assert not found.clean


@pytest.mark.parametrize(
    "name",
    [
        "CURRENT.draft",
        "staging/kills-1-item-00001-a0-0.arrow",
        "versions/20990101T000000-00000000/building",
        "versions/{current}/building",
        "_lakeflow/runs/kills-1/shared/names.arrow",
        "_lakeflow/other.json",
    ],
)
def test_what_is_left_is_found(name: str, root: Path) -> None:
    """Whatever lies there that the current version doesn't need; records of runs are no rows."""
    stray = root / NAME / name.format(current=lf.Cache(NAME, root).version.id)
    stray.parent.mkdir(exist_ok=True)
    stray.touch()

    assert str(stray.relative_to(root / NAME)) in leaked(Place(str(root)))


def test_a_record_that_a_kill_met_is_counted(root: Path) -> None:
    """It is told, and is no leak of the cache's."""
    (root / NAME / "_lakeflow" / "runs" / run_id(1) / "plan.json#1").touch()

    assert (half_records(Place(str(root))), leaked(Place(str(root)))) == (1, [])


def test_a_task_that_is_done_again_is_found(tmp_path: Path) -> None:
    """Tasks that a kill didn't meet, and more at one time than there are slots."""
    rounds = Rounds(
        Place(str(tmp_path / "caches")), tmp_path / "notes", Processes("benchmarks.cache.kills.work"), Random(0)
    )
    rounds.begin(1)
    done = tmp_path / "caches" / NAME / "_lakeflow" / "runs" / run_id(1) / "done"
    done.mkdir(parents=True)

    def killed(called: list[int], marked: list[int]) -> int:
        with (tmp_path / "notes").open("a") as notes:
            notes.writelines(json.dumps({"number": 1, "call": part}) + "\n" for part in called)
        for part in marked:
            (done / f"item-{part:05d}.json").touch()
        rounds.count_tasks()
        return len(rounds.found.redone_more)

    assert killed([0, 1, 2], [0]) == 0
    assert killed([1, 2, 3], [1, 2]) == 0
    assert rounds.counts["tasks_killed"] == 3
    assert killed([0], []) == 1
    assert killed([4, 5, 6], []) == 2


def test_the_command_tells_whether_all_was_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found: the command's status says so."""
    for clean in (True, False):
        monkeypatch.setattr(command, "run_kills", lambda clean=clean, **_: {"clean": clean})
        monkeypatch.setattr(sys, "argv", ["benchmarks", "cache-kills", "--kills", "3", "--seed", "1"])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert bool(ended.value.code) is not clean
