"""Branches and tags; write, audit, publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import AlreadyExistsError, CommitConflictError, InputError, NotFoundError
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.commit import commit_change

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf


@pytest.fixture
def table(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Ten rows, in each kind of lake."""
    made = lake.create_table(f"{namespace}.t", numbers(1).schema, partition_by=["bucket(2, id)"])
    made.append(numbers(10))
    return made


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


def refs(table: lf.Table) -> dict[str, str]:
    """Types by name."""
    return {row["name"]: row["type"] for row in table.refresh().refs().to_pylist()}


def test_what_a_branch_gets_main_does_not_see(table: lf.Table, numbers: Any) -> None:
    """Rows of a branch are read through it alone, and by its name."""
    with table.branch("audit") as branch:
        branch.append(numbers(5, 10))

        assert (list(range(15)), list(range(10))) == (ids(branch.scan()), ids(table.scan()))
        assert ids(table.scan(snapshot="audit", where="id >= 12")) == [12, 13, 14]
        assert len(branch.head(3)) == 3


def test_publishing_moves_main_where_it_has_not_gone_on(table: lf.Table, numbers: Any) -> None:
    """The branch's own snapshot becomes main's; a second call changes nothing."""
    with table.branch("audit") as branch:
        appended = branch.append(numbers(5, 10))
        published = branch.publish()
        again = branch.publish()

    assert appended.id == published.id == again.id == table.snapshot.id
    assert list(range(15)) == ids(table.scan())


def test_publishing_repeats_appends_where_main_has_gone_on(table: lf.Table, numbers: Any) -> None:
    """Both appends come on top of main in one commit, with the same data files and their run ids."""
    with table.branch("audit") as branch:
        branch.append(numbers(5, 10), run_id="one")
        branch.append(numbers(5, 15), run_id="two")
        table.append(numbers(5, 20))
        files = {piece.path for piece in branch.scan().pieces}
        branch.publish()

    assert list(range(25)) == ids(table.scan())
    assert files <= {piece.path for piece in table.scan().pieces}
    assert [each.summary.get("lakeflow.run-id") for each in table.snapshots()[-2:]] == ["one", "two"]
    assert table.append(numbers(1, 99), run_id="one").id == table.find_run("one").id


def test_what_was_repeated_is_not_repeated_again(table: lf.Table, numbers: Any) -> None:
    """Publishing twice, with and without more rows in between, loses and doubles none."""
    branch = table.branch("audit")
    branch.append(numbers(5, 10))
    table.append(numbers(5, 20))
    branch.publish()
    branch.publish()
    branch.append(numbers(5, 15))
    branch.publish()

    assert list(range(25)) == ids(table.scan())


def test_what_is_no_append_is_not_repeated(table: lf.Table, numbers: Any) -> None:
    """A branch that overwrote rows is refused once main has gone on, and published while it has not."""
    branch, other = table.branch("one"), table.branch("two")
    for each in (branch, other):
        each.append(numbers(5, 10))
        each.delete("id < 5")

    other.publish()

    assert list(range(5, 15)) == ids(table.scan())
    with pytest.raises(CommitConflictError, match=rf"{branch.snapshot.id} is of the kind '(overwrite|delete)'"):
        branch.publish()
    assert list(range(5, 15)) == ids(table.refresh().scan())


def test_published_partitions_are_exact(embedded: lf.Lake, namespace: str) -> None:
    """What is repeated on top of main stays in its partition, to a double's last digit."""
    schema = pa.schema([("x", pa.float64())])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by=["x"])
    table.append(pa.table({"x": [0.5]}))
    with table.branch("audit") as branch:
        branch.append(pa.table({"x": [0.1]}))
        table.append(pa.table({"x": [0.25]}))
        branch.publish()

    assert table.scan(where="x = 0.1").read().to_arrow()["x"].to_pylist() == [0.1]
    assert [piece.partition for piece in table.scan(where="x = 0.1").pieces] == ["x=0.1"]
    assert "x=0.1" in table.partitions()["partition"].to_pylist()


def test_a_run_that_main_has_is_not_published_again(table: lf.Table, numbers: Any) -> None:
    """The same run id on main and on the branch would double its rows."""
    branch = table.branch("audit")
    branch.append(numbers(5, 10), run_id="load")
    table.append(numbers(5, 10), run_id="load")

    with pytest.raises(CommitConflictError, match="load"):
        branch.publish()


def test_files_of_another_partitioning_are_repeated_as_they_are(table: lf.Table, numbers: Any) -> None:
    """They stand in manifests of their own spec, behind those of rows that main got meanwhile."""
    branch = table.branch("audit")
    branch.append(numbers(5, 10))
    table.update_partitions(add=["text"])
    table.append(numbers(5, 20))

    branch.publish()

    assert list(range(15)) + list(range(20, 25)) == ids(table.scan())
    assert table.partitions()["spec_id"].unique().to_pylist() == [0, 1]


def test_a_branch_stays_unless_it_is_not_kept(table: lf.Table, numbers: Any) -> None:
    """Leaving the block publishes nothing, even after an error; `keep=False` removes the branch then."""
    with table.branch("kept") as branch:
        branch.append(numbers(5, 10))
    with pytest.raises(ZeroDivisionError), table.branch("dropped", keep=False) as branch:
        branch.append(numbers(1 // 0))

    assert (list(range(10)), {"main": "branch", "kept": "branch"}) == (ids(table.scan()), refs(table))


def test_a_branch_is_opened_again(table: lf.Table, numbers: Any) -> None:
    """A name that is there opens what is there."""
    table.branch("audit").append(numbers(5, 10))

    assert list(range(15)) == ids(table.branch("audit").scan())


def test_a_branch_may_begin_in_the_past(table: lf.Table, numbers: Any) -> None:
    """From a snapshot, a tag or a moment."""
    first = table.snapshot
    table.tag("v1")
    table.append(numbers(10, 10))

    begun = [ids(table.branch(f"b{n}", at).scan()) for n, at in enumerate((first.id, "v1", first.committed))]

    assert begun == [list(range(10))] * 3


def test_a_branch_that_is_there_is_not_moved(table: lf.Table, numbers: Any) -> None:
    """Asking for it at another snapshot is a mistake."""
    first = table.snapshot
    table.append(numbers(10, 10))
    table.branch("audit")

    with pytest.raises(AlreadyExistsError, match="audit") as refused:
        table.branch("audit", first.id)
    assert "replace" not in str(refused.value)  # which is a tag's


def test_tags_are_made_moved_and_dropped(table: lf.Table, numbers: Any) -> None:
    """A tag stays where it is unless it is replaced; the same again is no error."""
    first = table.tag("v1")
    table.append(numbers(10, 10))

    with pytest.raises(AlreadyExistsError, match="v1"):
        table.tag("v1")
    assert first == table.tag("v1", first.id)
    moved = table.tag("v1", replace=True)
    assert (table.snapshot, 20) == (moved, len(table.scan(snapshot="v1").read()))

    table.drop_tag("v1")
    assert refs(table) == {"main": "branch"}


def test_names_that_are_taken_or_missing(table: lf.Table, numbers: Any) -> None:
    """`main`, a tag for a branch, a branch for a tag, and what isn't there."""
    table.tag("v1")
    table.branch("audit")

    for wrong in (
        lambda: table.branch("main"), lambda: table.branch("v1"), lambda: table.tag("audit"),
        lambda: table.tag("main"), lambda: table.tag(""), lambda: table.drop_branch("main"),
        lambda: table.drop_branch("v1"), lambda: table.drop_tag("audit"),
        lambda: table.append(numbers(1), branch="v1"),
    ):  # fmt: skip
        with pytest.raises(InputError):
            wrong()
    for missing in (
        lambda: table.drop_tag("v2"), lambda: table.drop_branch("nope"), lambda: table.tag("v2", "nope"),
        lambda: table.append(numbers(1), branch="nope"), lambda: table.branch("b", 7),
    ):  # fmt: skip
        with pytest.raises(NotFoundError):
            missing()
    assert (len(table.scan().read()), refs(table)) == (10, {"main": "branch", "v1": "tag", "audit": "branch"})


def test_a_table_without_snapshots_has_nothing_to_name(embedded: lf.Lake, namespace: str, numbers: Any) -> None:
    """The first snapshot is main's."""
    table = embedded.create_table(f"{namespace}.empty", numbers(1).schema)

    for wrong in (lambda: table.branch("audit"), lambda: table.tag("v1")):
        with pytest.raises(InputError, match="no snapshot yet"):
            wrong()


def test_a_branch_that_goes_away_takes_no_rows(table: lf.Table, numbers: Any, lake: lf.Lake) -> None:
    """An append to a branch that another has dropped fails, and doesn't begin a new one without main's rows."""
    branch = table.branch("audit")
    lake.table(table.name).drop_branch("audit")

    with pytest.raises(NotFoundError, match="audit"):
        commit_change(table.iceberg, table.name, Change("append", branch="audit"), {})
    with pytest.raises(NotFoundError, match="audit"):
        branch.publish()
    with pytest.raises(NotFoundError, match="audit"):
        branch.append(numbers(5))


def test_a_second_writer_of_a_branch_is_met(table: lf.Table, numbers: Any, lake: lf.Lake) -> None:
    """Two objects append in turn, each having seen an older state: nothing is lost."""
    mine, other = table.branch("audit"), lake.table(table.name).branch("audit")
    for number in range(3):
        mine.append(numbers(1, 10 + 2 * number))
        other.append(numbers(1, 11 + 2 * number))
    lake.table(table.name).append(numbers(1, 99))

    mine.publish()

    assert [*range(16), 99] == ids(table.scan())
