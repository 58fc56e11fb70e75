"""Every verb on a branch: planned on its rows, checked against its commits, seen through it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow import writing
from lakeflow_io.errors import CommitConflictError, InputError, NotFoundError
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.string())])
BASE = {1: "a", 2: "b", 3: "a"}
# A change of the branch's rows, which are those of the table and a fourth, and what they are then.
CHANGES: dict[str, tuple[Callable[[Any], Any], dict[int, str]]] = {
    "append": (lambda to: to.append({"id": [5], "kind": ["e"]}), {**BASE, 4: "a", 5: "e"}),
    "overwrite": (lambda to: to.overwrite({"id": [5], "kind": ["e"]}), {5: "e"}),
    "overwrite where": (lambda to: to.overwrite({"id": [5], "kind": ["e"]}, where="kind = 'a'"), {2: "b", 5: "e"}),
    "overwrite_partitions": (lambda to: to.overwrite_partitions({"id": [5], "kind": ["a"]}), {2: "b", 5: "a"}),
    "delete": (lambda to: to.delete("id in (1, 4)"), {2: "b", 3: "a"}),
    "positions": (lambda to: to.delete("id in (1, 4)", mode="merge-on-read"), {2: "b", 3: "a"}),
    "upsert": (lambda to: to.upsert({"id": [4, 5], "kind": ["b", "e"]}, key="id"), {**BASE, 4: "b", 5: "e"}),
    "merge": (
        lambda to: to.merge({"id": [4], "kind": ["b"]}, key="id", not_matched_by_source="delete"),
        {4: "b"},
    ),
}


def make(lake: lf.Lake, namespace: str) -> lf.Table:
    """Three rows in two partitions, and a branch with one more."""
    made = lake.create_table(f"{namespace}.t", SCHEMA, partition_by=["kind"])
    made.append({"id": list(BASE), "kind": list(BASE.values())})
    made.branch("audit").append({"id": [4], "kind": ["a"]})
    return made


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """In the embedded lake."""
    return make(embedded, namespace)


def rows(scan: lf.Scan) -> dict[int, str]:
    """Kinds by id."""
    found = scan.read().to_pylist()
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row["kind"] for row in sorted(found, key=lambda row: row["id"])}


def files(table: lf.Table) -> set[str]:
    """What lies in the table's data folder, live or not."""
    transport = open_transport(store_properties(table.iceberg.io.properties))
    return {each.uri for each in transport.list(f"{table.location}/data")}


@pytest.mark.parametrize("verb", CHANGES)
def test_a_branch_is_changed_alone(lake: lf.Lake, namespace: str, verb: str) -> None:
    """The change meets the branch's rows, main stays as it is; published, main has them, for pyiceberg, too."""
    (change, expected), table = CHANGES[verb], make(lake, namespace)
    with table.branch("audit") as branch:
        made = change(branch)

        assert (made, expected, BASE) == (branch.snapshot, rows(branch.scan()), rows(table.scan()))
        branch.publish()

    assert expected == rows(table.refresh().scan())
    assert expected == {row["id"]: row["kind"] for row in table.iceberg.scan().to_arrow().to_pylist()}
    assert int(made.summary["total-records"]) - int(made.summary["total-position-deletes"]) == len(expected)


@pytest.mark.parametrize("verb", CHANGES)
def test_the_table_takes_a_branchs_name(table: lf.Table, verb: str) -> None:
    """`branch=` is the same as the branch's own verb; a tag and a name that isn't there are refused."""
    change, expected = CHANGES[verb]
    table.tag("v1")

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, called: str) -> Any:
            return lambda *arguments, **options: getattr(table, called)(*arguments, branch=self.name, **options)

    for name, error in (("v1", InputError), ("nope", NotFoundError)):
        with pytest.raises(error):
            change(Named(name))
    change(Named("audit"))

    assert (expected, BASE) == (rows(table.scan(snapshot="audit")), rows(table.scan()))


def test_a_change_of_nothing_returns_the_branchs_snapshot(table: lf.Table) -> None:
    """Rows that main alone has are none of the branch's."""
    table.append({"id": [50], "kind": ["a"]})
    branch = table.branch("audit")
    before = branch.snapshot

    assert before == branch.delete("id = 50")
    assert before == branch.merge({"id": [50]}, key="id", not_matched="ignore")
    assert before == branch.overwrite_partitions({"id": pa.array([], pa.int64()), "kind": pa.array([], pa.string())})


def test_a_run_is_found_on_its_branch(table: lf.Table) -> None:
    """The same call with the same run id changes the branch once, and main once."""
    branch = table.branch("audit")

    made = [branch.delete("id = 4", run_id="clean") for _ in range(2)]
    branch.append({"id": [4], "kind": ["a"]})
    again = branch.delete("id = 4", run_id="clean")

    assert made == [again, again]
    assert 4 in rows(branch.scan())
    assert table.delete("id = 1", run_id="clean") not in made


def between(monkeypatch: pytest.MonkeyPatch, other: Callable[[], Any]) -> None:
    """Let another writer act when the next change is planned and written, and is about to be committed."""
    original = writing.commit_change

    def commit(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(writing, "commit_change", original)
        other()
        return original(*arguments, **options)

    monkeypatch.setattr(writing, "commit_change", commit)


@pytest.mark.parametrize("verb", [verb for verb in CHANGES if verb != "append"])
def test_commits_of_the_branch_alone_are_conflicts(
    table: lf.Table, embedded: lf.Lake, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Another writer's row, which the change would have had to look at: it is refused, and leaves no file."""
    before = set()

    def another() -> None:
        embedded.table(table.name).append({"id": [4], "kind": ["a"]}, branch="audit")
        before.update(files(table))

    between(monkeypatch, another)

    with pytest.raises(CommitConflictError, match="may hold rows"):
        CHANGES[verb][0](table.branch("audit"))

    assert len(files(table) - before) == 0


@pytest.mark.parametrize("verb", ["append", "delete"])
def test_commits_of_others_are_none(lake: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """The same row on main meanwhile, which takes the sequence number that the change was to have."""
    (change, expected), table = CHANGES[verb], make(lake, namespace)
    between(monkeypatch, lambda: lake.table(table.name).append({"id": [1], "kind": ["a"]}))

    change(table.branch("audit"))

    assert expected == rows(table.refresh().scan(snapshot="audit"))
    assert len(table.scan().read()) == 4
    assert len({each.sequence_number for each in table.iceberg.snapshots()}) == len(table.snapshots()) == 4


def test_a_branch_that_goes_while_it_is_written_to_leaves_no_file(
    table: lf.Table, embedded: lf.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing names what was staged for it."""
    before = files(table)
    between(monkeypatch, lambda: embedded.table(table.name).drop_branch("audit"))

    with pytest.raises(NotFoundError, match="audit"):
        table.branch("audit").append({"id": [5], "kind": ["e"]})

    assert before == files(table)


@pytest.mark.parametrize("name", ["main", "audit"])
def test_a_branch_keeps_its_retention(embedded: lf.Lake, namespace: str, name: str) -> None:
    """How long its snapshots are kept is another's to say, whatever is committed to it."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)
    table.append({"id": [1], "kind": ["a"]})
    kept = {"max_snapshot_age_ms": 1000, "min_snapshots_to_keep": 3}
    table.iceberg.manage_snapshots().create_branch(table.snapshot.id, name, **kept).commit()

    table.append({"id": [2], "kind": ["a"]}, branch=name)
    table.delete("id = 1", branch=name)

    ref = table.refresh().iceberg.metadata.refs[name]
    assert kept == {key: getattr(ref, key) for key in kept}
