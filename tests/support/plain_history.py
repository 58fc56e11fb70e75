"""What each snapshot of a table ought to hold: lines of snapshots, branches and tags, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plain_table import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plain_table import Columns, Row

    import lakeflow as lf

MAIN = "main"


@dataclass
class State:
    """What a snapshot ought to hold."""

    parent: int | None
    columns: Columns
    rows: list[Row]
    appended: list[Row] | None  # None: it is no append
    source: int | None = None  # of which branch's snapshot it is the repetition


@dataclass
class History:
    """Snapshots by their ids, as far as they haven't expired."""

    table: lf.Table
    columns: Columns  # the table's now; branches are read with them, states of the past with their own
    states: dict[int, State] = field(default_factory=dict)
    heads: dict[str, int | None] = field(default_factory=lambda: {MAIN: None})
    tags: dict[str, int] = field(default_factory=dict)
    expired: dict[int, State] = field(default_factory=dict)

    def rows(self, branch: str = MAIN) -> list[Row]:
        """What a branch ought to hold."""
        head = self.heads[branch]
        return [] if head is None else self.states[head].rows

    @property
    def branches(self) -> list[str]:
        """Those besides main."""
        return sorted(set(self.heads) - {MAIN})

    def line(self, snapshot: int | None) -> Iterator[int]:
        """A snapshot and those before it, as far as they are still there."""
        while snapshot in self.states:
            yield snapshot
            snapshot = self.states[snapshot].parent

    def committed(self, rows: list[Row], branch: str = MAIN) -> None:
        """A branch ought to hold `rows`; where no snapshot was made, nothing has changed."""
        head = self.heads[branch]
        snapshot = self.table.refresh().iceberg.metadata.snapshot_by_name(branch)
        if snapshot is None or snapshot.snapshot_id in self.states:
            assert (snapshot and snapshot.snapshot_id) == head
            assert in_order([shown(row, self.columns) for row in rows]) == self.expected(head)
        else:
            made = next(each for each in self.table.snapshots() if each.id == snapshot.snapshot_id)
            self.heads[branch] = self.remember(made, head, rows)

    def remember(self, snapshot: Any, parent: int | None, rows: list[Row], source: int | None = None) -> int:
        """A snapshot, and what it ought to hold. Of an append's rows, those that were there come first."""
        before = 0 if parent is None else len(self.states[parent].rows)
        appended = rows[before:] if snapshot.operation == "append" else None
        self.states[snapshot.id] = State(parent, self.columns, rows, appended, source)
        return int(snapshot.id)

    def expected(self, snapshot: int | None, columns: Columns | None = None) -> list[str]:
        """What readers ought to see of a snapshot; with the table's columns, or others."""
        rows = [] if snapshot is None else self.states[snapshot].rows
        return in_order([shown(row, self.columns if columns is None else columns) for row in rows])

    def check(self, branch: str) -> None:
        """A branch reads right now."""
        scan = self.table.refresh().scan(snapshot=branch if self.heads[branch] is not None else None)
        assert scan.schema.names == [each.name for each in self.columns]
        assert in_order(scan.read().to_pylist()) == self.expected(self.heads[branch])

    def check_all(self, *, by_pyiceberg: bool) -> None:
        """Every snapshot that is there reads as it did; names lead where they should.

        Args:
            by_pyiceberg: Its reader agrees, too.
        """
        assert {each.id for each in self.table.refresh().snapshots()} == set(self.states)
        for name in self.heads:
            self.check(name)
        for name, snapshot in [*self.tags.items(), *((each, each) for each in self.states)]:
            right = self.expected(snapshot, self.states[snapshot].columns)
            assert in_order(self.table.scan(snapshot=name).read().to_pylist()) == right
        for snapshot, state in self.states.items() if by_pyiceberg else ():
            found = self.table.iceberg.scan(snapshot_id=snapshot).to_arrow().to_pylist()
            assert in_order(found) == self.expected(snapshot, state.columns)


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows that compare: in any order, their columns in the table's."""
    return sorted(map(repr, rows))
