"""Runs into a cache are listed, resumed, reproduced and told of by their ids."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from command_line import lakeflow

import lakeflow as lf
from lakeflow.cache import min_rows
from lakeflow_io.errors import CheckFailedError, FunctionError, InputError, NotFoundError, PlanChangedError

JOB = '''
from pathlib import Path
import pyarrow as pa

def score(rows: pa.Table) -> pa.Table:
    """Fails on the shard that has id 0 until a file is there."""
    if 0 in rows["id"].to_pylist() and not Path("mended").exists():
        raise ValueError("not now")
    return rows.select(["id"])

def part(number: int) -> pa.Table:
    if not number and not Path("mended").exists():
        raise ValueError("not now")
    return pa.table({"id": [number]})

def both(rows: pa.Table) -> dict[str, pa.Table]:
    return {"rows": rows, "scores": score(rows)}
'''


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of functions that fail until `mended` is in the current folder."""
    name = f"cache_job_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return __import__(name)


@pytest.fixture
def cache(tmp_path: Path) -> lf.Cache:
    """A cache that is to keep one version, with rows beside its columns."""
    return lf.Cache("scores", tmp_path / "caches", keep=1, layout="rows")


def begun(pair: Any, cache: lf.Cache, function: Any, **options: Any) -> str:
    """Stop at the shard that has id 0; return its name, with which a shell finds it again."""
    with pytest.raises(FunctionError, match="not now") as raised:
        lf.precompute(
            pair.source.scan().shards(n=4), function, cache=cache, key="id", run_id="r", engine="serial", **options
        )
    [shard] = re.findall(rf"`lakeflow reproduce r (\S+) --cache scores --root {cache.root}`", str(raised.value))
    return str(shard)


def mended(tmp_path: Path) -> None:
    """From now on nothing fails."""
    (tmp_path / "mended").touch()


def test_a_run_goes_on_from_its_id(pair: Any, embedded: lf.Lake, cache: lf.Cache, job: Any, tmp_path: Path) -> None:
    """In any process: how many versions stay, and how this one lies, is as it was said when the run began."""
    cache.load(pa.table({"id": [1]}), key="id")
    begun(pair, cache, job.score)
    mended(tmp_path)
    elsewhere = lf.Cache("scores", tmp_path / "caches")

    resumed = lf.resume("r", lake=embedded, into=elsewhere, engine="serial")
    again = lf.resume("r", lake=embedded, into=elsewhere)

    assert (resumed.rows, again.ran, again.version_id) == (40, 0, resumed.version_id)
    assert [each.id for each in elsewhere.versions()] == [resumed.version_id]
    assert list((tmp_path / "caches").rglob("*.rows"))
    assert elsewhere.get_many(range(40))["found"].to_pylist() == [True] * 40


def test_checks_are_given_again(pair: Any, embedded: lf.Lake, cache: lf.Cache, job: Any, tmp_path: Path) -> None:
    """A plan can't hold them: without them nothing is published, unless that is said; a run that has is a no-op."""
    begun(pair, cache, job.score, checks=[min_rows(99)])
    mended(tmp_path)

    with pytest.raises(InputError, match=r"min_rows\(99\)"):
        lf.resume("r", lake=embedded, into=cache)
    with pytest.raises(CheckFailedError, match="40 rows"):
        lf.resume("r", lake=embedded, into=cache, checks=[min_rows(50)], engine="serial")
    with pytest.raises(InputError, match=r"min_rows\(99\)"):
        lf.resume("r", lake=embedded, into=cache)
    with pytest.raises(NotFoundError):
        _ = cache.version
    resumed = lf.resume("r", lake=embedded, into=cache, checks=[])

    assert cache.version.id == resumed.version_id == lf.resume("r", lake=embedded, into=cache).version_id


def test_items_need_no_lakehouse(cache: lf.Cache, job: Any, tmp_path: Path) -> None:
    """Nothing but the cache is looked at, and no lakehouse is made."""
    with pytest.raises(FunctionError):
        lf.foreach([1, 0], job.part, into=cache.sink("id"), run_id="r", engine="serial", progress=False)
    mended(tmp_path)

    assert lf.resume("r", into=cache, engine="serial").rows == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) in (["caches"], ["__pycache__", "caches"])


def test_a_run_into_a_table_and_a_cache(
    pair: Any, embedded: lf.Lake, cache: lf.Cache, job: Any, tmp_path: Path
) -> None:
    """It is found where its first output is; the other one is opened by its name."""
    into = {"rows": pair.into, "scores": cache.sink("id")}
    with pytest.raises(FunctionError):
        lf.foreach(pair.source.scan().shards(n=4), job.both, into=into, run_id="r", engine="serial")
    mended(tmp_path)

    run = lf.resume("r", lake=embedded, engine="serial")

    assert (run.publications["scores"].id, run.rows) == (cache.version.id, 80)
    assert list(range(40)) == pair.written


def test_a_cache_that_is_another_one_now(pair: Any, embedded: lf.Lake, cache: lf.Cache, job: Any) -> None:
    """One that was copied elsewhere isn't what the run was begun with; no run and no id are told apart."""
    begun(pair, cache, job.score)
    moved = cache.root + "-moved"
    Path(cache.root).rename(moved)
    there = lf.Cache("scores", moved)

    with pytest.raises(PlanChangedError, match="outputs"):
        lf.resume("r", lake=embedded, into=there)
    with pytest.raises(NotFoundError, match="did you mean r"):
        lf.resume("rr", lake=embedded, into=there)
    with pytest.raises(InputError, match="run id"):
        lf.resume("../r", lake=embedded, into=there)


def test_runs_are_listed(pair: Any, cache: lf.Cache, job: Any, tmp_path: Path) -> None:
    """Newest first; also one whose version is gone."""
    begun(pair, cache, job.score)
    mended(tmp_path)
    for run_id in ("s", "t"):
        lf.precompute(pair.source.scan(), job.score, cache=cache, key="id", run_id=run_id, engine="serial")

    found = cache.runs()

    assert len(cache.versions()) == 1
    assert [(each.run_id, each.table, each.state, each.rows) for each in found] == [
        ("t", "scores", "committed", 40),
        ("s", "scores", "committed", 40),
        ("r", "scores", "failed", found[2].rows),
    ]
    assert lf.Cache("other", tmp_path).runs() == []


@pytest.mark.usefixtures("embedded")
def test_from_a_shell(pair: Any, cache: lf.Cache, job: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`runs`, `reproduce`, `resume` and `report` take the cache's name and root; without a name they look at tables."""
    shard = begun(pair, cache, job.score, checks=[min_rows(1)])
    where = ["--cache", "scores", "--root", cache.root]

    listed = json.loads(lakeflow(capsys, "runs", *where, "--json")[1])
    refused = [lakeflow(capsys, *command) for command in (["resume", "r"], ["runs", "--root", "x"])]
    raised = lakeflow(capsys, "reproduce", "r", shard, *where)
    mended(tmp_path)
    shown = lakeflow(capsys, "reproduce", "r", shard, *where, "--json", "-n", "1")
    unchecked = lakeflow(capsys, "resume", "r", *where)
    resumed = lakeflow(capsys, "resume", "r", *where, "--no-checks", "--json")
    told = lakeflow(capsys, "report", "r", *where, "-o", str(tmp_path / "r.html"))

    assert [(each["run_id"], each["state"]) for each in listed] == [("r", "failed")]
    assert [code for code, _, _ in refused] == [2, 2]
    assert (raised[0], "ValueError: not now" in raised[2]) == (1, True)
    assert json.loads(shown[1]) == {"id": 0}
    assert (unchecked[0], "min_rows(1)" in unchecked[2]) == (2, True)
    assert json.loads(resumed[1])["outputs"] == {"output": cache.version.id}
    assert told[0] == 0
    assert f"--cache scores --root {cache.root}" in (tmp_path / "r.html").read_text()
