"""A run goes on from its id alone, in whatever process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.runs.outputs import publishing
from lakeflow_io.errors import (
    FunctionError,
    InputError,
    NotFoundError,
    PlanChangedError,
    RunAbandonedError,
    StoreError,
)
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE = '''
import os
from pathlib import Path

import pyarrow as pa


def checked(rows: pa.Table, least: int = 0) -> pa.Table:
    """Fails on the shard that has id 0 until a file is there."""
    if 0 in rows["id"].to_pylist() and not Path(os.environ["LAKEFLOW_TEST_FLAG"]).exists():
        raise ValueError("not now")
    return rows


def labelled(rows: pa.Table, names: pa.Table) -> pa.Table:
    """The same with a shared table."""
    assert names["name"].to_pylist() == ["a", "b"]
    return checked(rows)
'''


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with a job's functions, and the file that lets them pass."""
    (tmp_path / "resumed_job.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LAKEFLOW_TEST_FLAG", str(tmp_path / "flag"))
    monkeypatch.delitem(sys.modules, "resumed_job", raising=False)
    import resumed_job  # type: ignore[import-not-found]

    return resumed_job


def begun(pair: Any, function: Any, shards: Any = None, **options: Any) -> None:
    """A run that stopped at its last shard."""
    with pytest.raises(FunctionError, match="not now"):
        lf.foreach(
            shards if shards is not None else pair.source.scan().shards(n=4), function,
            **{"into": pair.into, "run_id": "r", "engine": "serial", **options},
        )  # fmt: skip


def go_on(tmp_path: Path) -> None:
    """What made the run stop is gone."""
    (tmp_path / "flag").touch()


def test_a_run_is_resumed_by_its_id(any_pair: Any, lake: lf.Lake, job: Any, tmp_path: Path) -> None:
    """Function, shards, parameters and output are those of the plan; what was done stays done."""
    begun(any_pair, job.checked, params={"least": 3})
    go_on(tmp_path)

    resumed = lake.resume("r", engine="serial", into=any_pair.into.name)
    again = lake.resume("r", into=any_pair.into.name)

    assert list(range(40)) == any_pair.written
    assert 0 < resumed.ran <= 4
    assert (resumed.snapshot_id, 0, resumed.shards) == (again.snapshot_id, again.ran, 4)
    assert len(any_pair.into.refresh().snapshots()) == 1


@pytest.mark.parametrize(
    "shards",
    [
        lambda table: table.scan().shards(target_size="1 KiB"),
        lambda table: table.scan(columns=["half", "id", "text"], where="id < 35").where("half >= 0").shards(n=3),
        lambda table: table.scan(),
        lambda table: table.scan().shards(by="partition"),
    ],
    ids=["by size", "filtered", "a scan", "by partition"],
)
def test_shards_are_made_again(
    pair: Any, embedded: lf.Lake, job: Any, tmp_path: Path, shards: Any, numbers: Callable[..., pa.Table]
) -> None:
    """However they were cut, and whatever was written into their table since."""
    given = shards(pair.source)
    begun(pair, job.checked, given)
    pair.source.append(numbers(5, 100))
    go_on(tmp_path)

    embedded.resume("r", engine="serial")

    rows = given.read() if isinstance(given, lf.Scan) else None
    expected = range(35) if "filtered" in os.environ["PYTEST_CURRENT_TEST"] else range(40)
    assert rows is None or rows.to_arrow().num_rows == 40
    assert list(expected) == pair.written


def test_another_process_finishes(pair: Any, job: Any, tmp_path: Path) -> None:
    """On another machine: another working folder, cache and hash seed, and nothing but the lake and the code."""
    begun(pair, job.labelled, shared={"names": {"name": ["a", "b"]}})
    go_on(tmp_path)
    program = "import lakeflow as lf; print(lf.resume('r', engine='serial', progress=False).snapshot_id)"
    home = tmp_path / "elsewhere"
    home.mkdir()
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(home),
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    }

    said = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=home, env=environment, capture_output=True, text=True, check=False,
        )
        for _ in range(2)
    ]  # fmt: skip

    assert [each.stderr for each in said] == ["", ""]
    assert list(range(40)) == pair.written
    assert {str(pair.into.refresh().snapshot.id)} == {each.stdout.strip() for each in said}
    assert [name for name in pair.state("r") if name.startswith("shared/")] == []


def test_what_is_sealed_needs_no_function(
    pair: Any, embedded: lf.Lake, numbers: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All shards are done and the catalog was down: whoever resumes only publishes. Snapshots may expire meanwhile."""

    def refuse(*_: Any) -> Any:
        raise StoreError("The catalog is down.")

    with monkeypatch.context() as patch:
        patch.setattr(publishing.Publisher, "_release", refuse)
        with pytest.raises(StoreError):
            lf.foreach(pair.source.scan().shards(n=4), lambda rows: rows, into=pair.into, run_id="r", engine="serial")
    before = pair.source.snapshot.id
    pair.source.append(numbers(1, 1000))
    pair.source.iceberg.maintenance.expire_snapshots().by_id(before).commit()

    resumed = embedded.resume("r")

    assert list(range(40)) == pair.written
    assert resumed.ran == 0


@pytest.mark.parametrize("recorded", [True, False])
def test_parts_and_wholes_are_published_once(pair: Any, embedded: lf.Lake, tmp_path: Path, recorded: bool) -> None:  # noqa: FBT001
    """Parts that are done stay done; where nobody knows of them any more their shard is done whole, and they go."""
    roomy = tmp_path / "roomy"

    def narrow(rows: pa.Table) -> pa.Table:
        if rows.num_rows > 10 and not roomy.exists():
            raise MemoryError
        if 35 in rows["id"].to_pylist() and not (tmp_path / "flag").exists():
            raise ValueError("not now")
        return rows

    begun(pair, narrow, pair.source.scan().shards(n=2))
    parts = [name for name in pair.state("r") if name.startswith("done/")]
    if not recorded:
        roomy.touch()
        for name in pair.state("r"):
            if name.startswith("failed/"):
                open_transport({}).delete(f"{pair.into.location}/_lakeflow/runs/r/{name}")
    go_on(tmp_path)

    resumed = embedded.resume("r", narrow, engine="serial")

    assert parts
    assert all("of2" in name for name in parts)
    assert list(range(40)) == pair.written
    assert 1 <= resumed.ran <= 2
    assert len(pair.into.refresh().snapshots()) == 1


def test_changed_code_goes_on_when_asked(pair: Any, embedded: lf.Lake, job: Any, tmp_path: Path) -> None:
    """Refused with what changed, else; what had been done keeps the rows of the old code."""
    begun(pair, job.checked)
    go_on(tmp_path)

    def other(rows: pa.Table) -> pa.Table:
        return rows.set_column(1, "text", pa.array(["new"] * rows.num_rows))

    with pytest.raises(PlanChangedError, match="code: "):
        embedded.resume("r", other, engine="serial")
    resumed = embedded.resume("r", other, engine="serial", allow_code_change=True)

    texts = pair.into.refresh().scan().read().to_arrow()["text"].to_pylist()
    assert list(range(40)) == pair.written
    assert texts.count("new") == 10 * resumed.ran
    assert embedded.resume("r").snapshot_id == resumed.snapshot_id
    assert len([name for name in pair.state("r") if name.startswith("code/")]) == 1


def test_items_are_in_the_plan(pair: Any, embedded: lf.Lake, tmp_path: Path) -> None:
    """Small ones that are JSON: a resume needs only the function."""
    flag = tmp_path / "flag"

    def rows(item: dict[str, int]) -> pa.Table:
        if item["id"] == 2 and not flag.exists():
            raise ValueError("not now")
        return pa.table({"id": [item["id"]], "text": ["x"], "half": [0.5]})

    begun(pair, rows, [{"id": 1}, {"id": 2}])
    go_on(tmp_path)

    resumed = embedded.resume("r", rows, engine="serial")

    assert (resumed.ran, pair.written) == (1, [1, 2])


def test_what_a_plan_lacks_is_asked_for(pair: Any, embedded: lf.Lake, job: Any) -> None:
    """Functions without a name, shards that were picked, tables that were never stored: what to do is said."""
    begun(pair, job.checked, list(reversed(pair.source.scan().shards(n=4))), run_id="picked")
    with pytest.raises(InputError, match="call foreach as before"):
        embedded.resume("picked")

    begun(pair, lambda rows: job.checked(rows, 1), run_id="nameless")
    with pytest.raises(FunctionError, match="resume"):
        embedded.resume("nameless")

    begun(pair, job.labelled, run_id="shared", shared={"names": {"name": ["a", "b"]}})
    for name in pair.state("shared"):
        if name.startswith("shared/"):
            open_transport({}).delete(f"{pair.into.location}/_lakeflow/runs/shared/{name}")
    with pytest.raises(InputError, match="shared="):
        embedded.resume("shared")


def test_a_run_that_is_not_there_is_not_found(pair: Any, embedded: lf.Lake) -> None:
    """The closest ids are named."""
    lf.foreach([1], lambda _: None, run_id="nowhere")
    lf.foreach(pair.source, lambda rows: rows, into=pair.into, run_id="match-1", engine="serial")

    with pytest.raises(NotFoundError, match="match-1"):
        embedded.resume("match-2")
    with pytest.raises(InputError):
        embedded.resume("../match-1")
    with pytest.raises(InputError, match="table's name"):
        lf.resume("match-1", into=pair.into)


def test_one_id_in_two_tables_needs_a_name(pair: Any, embedded: lf.Lake, namespace: str) -> None:
    """Each table has a run of its own by that id."""
    other = embedded.create_table(f"{namespace}.other", pair.into.schema)
    made = [
        lf.foreach(pair.source, lambda rows: rows, into=table, run_id="r", engine="serial").snapshot_id
        for table in (pair.into, other)
    ]

    with pytest.raises(InputError, match=other.name):
        embedded.resume("r")
    assert [embedded.resume("r", into=table.name).snapshot_id for table in (pair.into, other)] == made


def test_a_table_that_changed_is_another_plan(pair: Any, embedded: lf.Lake, job: Any, tmp_path: Path) -> None:
    """Its columns are others than those that are staged."""
    begun(pair, job.checked)
    go_on(tmp_path)
    with pair.into.update_schema() as change:
        change.add("more", pa.int64())

    with pytest.raises(PlanChangedError, match="outputs: "):
        embedded.resume("r", engine="serial")


def test_a_run_that_was_given_up_stays_so(pair: Any, embedded: lf.Lake, job: Any, tmp_path: Path) -> None:
    """Neither resume nor foreach publishes it."""
    begun(pair, job.checked)
    go_on(tmp_path)
    from datetime import timedelta

    embedded.collect_runs(older_than=timedelta(0))

    with pytest.raises(RunAbandonedError):
        embedded.resume("r", engine="serial")
    with pytest.raises(RunAbandonedError):
        lf.foreach(pair.source.scan().shards(n=4), job.checked, into=pair.into, run_id="r", engine="serial")
    assert pair.written == []


def test_a_warehouse_that_turns_read_only(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a run: a clear error, and a resume once it can be written again."""
    from lakeflow_io.errors import AccessDeniedError
    from lakeflow_io.storage.object_store import ObjectStoreTransport

    put = ObjectStoreTransport.put_if_absent
    markers = list[str]()

    def denied(self: Any, uri: str, data: Any) -> bool:
        if "/done/" in uri:
            markers.append(uri)
        if len(markers) > 2:
            raise AccessDeniedError(f"{uri} is not writable or readable: read-only.", "check the folder's rights.")
        return put(self, uri, data)

    def run() -> lf.Run:
        return lf.foreach(
            pair.source.scan().shards(n=4), lambda rows: rows, into=pair.into, run_id="r", engine="serial"
        )

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStoreTransport, "put_if_absent", denied)
        with pytest.raises(AccessDeniedError, match="shard-0000"):
            run()

    assert run().ran == 2
    assert list(range(40)) == pair.written
