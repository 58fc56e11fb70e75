"""Random histories of a table against plain Python: every snapshot reads right, by lakeflow and by pyiceberg."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deleted_table import DeletedTable
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from plain_evolution import Evolution
from plain_history import MAIN, History, in_order
from plain_table import (
    EVERYTHING,
    FIRST,
    KINDS,
    Column,
    Columns,
    Row,
    by_key,
    data_of,
    filters,
    key_of,
    partition_of,
    rows_of,
    shown,
)
from pyiceberg.partitioning import partition_record_value
from pyiceberg.transforms import IdentityTransform

from lakeflow.scan import read_shard
from lakeflow_io.errors import CommitConflictError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    import lakeflow as lf


def partition_in(table: Any, row: dict[str, Any]) -> tuple[Any, ...]:
    """Where pyiceberg would put a row."""
    schema, found = table.schema(), list[Any]()
    for field in table.spec().fields:
        column = schema.find_field(field.source_id)
        value = partition_record_value(field, row[column.name], schema)
        found.append(field.transform.transform(column.field_type)(value))
    return tuple(found)


class Histories(RuleBasedStateMachine):
    """One table, and what each of its snapshots ought to hold."""

    lake: lf.Lake
    numbers = itertools.count()

    @initialize(version=st.sampled_from([1, 2, 2]), others=st.booleans(), data=st.data())
    def create(self, version: int, others: bool, data: st.DataObject) -> None:  # noqa: FBT001
        """A table of its own. Where others write to it what pyiceberg can't read, lakeflow alone reads it."""
        self.version, self.others, self.touched = version, others, MAIN
        self.sorted: list[int] = data.draw(st.lists(st.sampled_from([0, 1, 3]), max_size=2, unique=True))
        self.spec: dict[int, str] = {}  # terms by the column's number
        self.once: set[int] = set()  # columns that it was ever partitioned by
        more = data.draw(st.lists(st.sampled_from([*KINDS]), max_size=2))
        columns = (*FIRST, *(Column(20 + at, f"more{at}", kind) for at, kind in enumerate(more)))
        self.draw_terms(data, columns)
        self.table = self.lake.create_table(
            f"n.t{next(self.numbers)}",
            pa.schema([each.arrow for each in columns]),
            partition_by=self.terms(self.spec, columns),
            sort_by=[f"{FIRST[number].name} desc" for number in self.sorted],
            properties={"format-version": str(version), "write.parquet.row-group-limit": "3"},
        )
        self.history = History(self.table, columns)
        self.writer = DeletedTable(self.table, row_group=3)  # as other engines write

    def draw_terms(self, data: st.DataObject, columns: Columns) -> None:
        """Partition by up to two columns more."""
        free = {each.id: KINDS[each.kind].terms for each in columns if each.kind and each.id not in self.spec}
        able = [number for number, terms in free.items() if terms]
        for number in data.draw(st.lists(st.sampled_from(able), max_size=2, unique=True)) if able else []:
            self.spec[number] = data.draw(st.sampled_from(free[number]))
        self.once |= set(self.spec)

    def terms(self, spec: dict[int, str], columns: Columns) -> list[str]:
        """In lakeflow's words, with the names that columns have now."""
        names = {each.id: each.name for each in columns}
        return [term.format(names[number]) for number, term in spec.items()]

    @property
    def columns(self) -> Columns:
        """The table's now."""
        return self.history.columns

    def committed(self, rows: list[Row], branch: str = MAIN) -> None:
        """A branch ought to hold `rows`."""
        self.touched = branch
        self.history.committed(rows, branch)

    def some_rows(self, data: st.DataObject, columns: Columns | None = None) -> list[Row]:
        """Rows to write."""
        return data.draw(st.lists(rows_of(self.columns if columns is None else columns), max_size=6))

    def some_snapshot(self, data: st.DataObject) -> int:
        """One of those that are there, by when it was made."""
        states = self.history.states
        return data.draw(st.sampled_from(range(len(states))).map([*states].__getitem__))

    def some_branch(self, data: st.DataObject) -> tuple[str, list[Row]]:
        """Main or another, and what it holds."""
        branch = data.draw(st.sampled_from([MAIN, MAIN, *self.history.branches]))
        return branch, self.history.rows(branch)

    def some_key(self, data: st.DataObject) -> list[Column]:
        """One column, or two, by which rows can be joined."""
        able = [each for each in self.columns if each.kind and KINDS[each.kind].iceberg]
        return data.draw(st.lists(st.sampled_from(able), min_size=1, max_size=2, unique=True)) if able else []

    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        """Rows come."""
        (branch, before), rows = self.some_branch(data), self.some_rows(data)
        self.table.append(data_of(rows, self.columns), branch=branch)
        self.committed([*before, *rows], branch)

    @rule(data=st.data())
    def overwrite(self, data: st.DataObject) -> None:
        """Rows come, others go."""
        (branch, before), rows = self.some_branch(data), self.some_rows(data)
        where, passes = data.draw(filters(self.columns) | st.just((None, EVERYTHING[1])))
        self.table.overwrite(data_of(rows, self.columns), where=where, branch=branch)
        self.committed([*(row for row in before if not passes(row)), *rows], branch)

    @rule(data=st.data())
    def overwrite_partitions(self, data: st.DataObject) -> None:
        """Rows come, all others of their partitions go."""
        (branch, before), rows = self.some_branch(data), self.some_rows(data)
        kinds = {each.id: each.kind for each in self.columns}

        def place(row: Row) -> tuple[Any, ...]:
            return tuple(partition_of(term, kinds[number], row.get(number)) for number, term in self.spec.items())

        self.table.overwrite_partitions(data_of(rows, self.columns), branch=branch)
        places = {place(row) for row in rows}
        self.committed([*(row for row in before if place(row) not in places), *rows], branch)

    @rule(data=st.data(), in_place=st.booleans())
    def delete(self, data: st.DataObject, in_place: bool) -> None:  # noqa: FBT001
        """Rows go, with their files or by their positions."""
        branch, before = self.some_branch(data)
        where, passes = data.draw(filters(self.columns))
        mode = "merge-on-read" if in_place and self.version > 1 else "copy-on-write"
        self.table.delete(where, mode=mode, branch=branch)
        self.committed([row for row in before if not passes(row)], branch)

    @rule(data=st.data())
    def upsert(self, data: st.DataObject) -> None:
        """Rows take the place of those with their key."""
        (branch, before), key = self.some_branch(data), self.some_key(data)
        if not key:
            return
        new = by_key(self.some_rows(data), key)
        rows = [row for _, row in new]
        self.table.upsert(data_of(rows, self.columns), key=[each.name for each in key], branch=branch)
        keys = {found for found, _ in new if found}
        self.committed([*(row for row in before if key_of(row, key) not in keys), *rows], branch)

    @rule(
        data=st.data(),
        matched=st.sampled_from(["update", "update", "delete", "keep"]),
        not_matched=st.sampled_from(["insert", "ignore"]),
        by_source=st.sampled_from(["keep", "keep", "delete"]),
    )
    def merge(self, data: st.DataObject, matched: str, not_matched: str, by_source: str) -> None:
        """Some columns are updated, rows come, rows go."""
        (branch, before), key = self.some_branch(data), self.some_key(data)
        if not key:
            return
        others = data.draw(st.lists(st.sampled_from(self.columns), unique=True))
        given = tuple(each for each in self.columns if each in key or each in others or each.required)
        new = by_key(self.some_rows(data, given), key)
        self.table.merge(
            data_of([row for _, row in new], given),
            key=[each.name for each in key],
            matched=matched,
            not_matched=not_matched,
            not_matched_by_source=by_source,
            branch=branch,
        )
        found = {own: row for own, row in new if own}
        there = {key_of(row, key) for row in before}
        rows = []
        for row in before:
            joined = found.get(key_of(row, key))
            if joined is None:
                rows += [row] * (by_source == "keep")
            elif matched != "delete":
                rows.append({**row, **joined} if matched == "update" else row)
        added = [row for own, row in new if own is None or own not in there]
        self.committed([*rows, *(added if not_matched == "insert" else [])], branch)

    @precondition(lambda self: self.others)
    @rule(data=st.data(), kind=st.sampled_from(["ORC", "AVRO", "PARQUET"]))
    def others_append(self, data: st.DataObject, kind: str) -> None:
        """Another engine adds rows, a file of its format for each partition."""
        (branch, before), rows = self.some_branch(data), self.some_rows(data)
        iceberg = self.table.refresh().iceberg
        places: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            places.setdefault(partition_in(iceberg, shown(row, self.columns)), []).append(row)
        with iceberg.transaction() as transaction, transaction.update_snapshot(branch=branch).fast_append() as append:
            for where, some in places.items():
                append.append_data_file(self.writer.data_as(kind, data_of(some, self.columns), partition=where))
        self.committed([*before, *rows], branch)

    @precondition(lambda self: self.others and self.version > 1)
    @rule(data=st.data(), kind=st.sampled_from(["ORC", "AVRO", "PARQUET"]))
    def others_delete(self, data: st.DataObject, kind: str) -> None:
        """Another engine deletes rows of main by their keys, in all partitions at once: null is equal to null."""
        key, specs = self.some_key(data), self.table.refresh().iceberg.specs()
        of_all = next((number for number, spec in specs.items() if spec.is_unpartitioned()), None)
        rows = self.some_rows(data, tuple(key))
        if of_all is None or not rows:
            return
        columns = {each.name: [row[each.id] for row in rows] for each in key}
        file = self.writer.keys_as(kind, columns)
        file.spec_id = of_all
        self.writer.commit(file)
        gone = {tuple(row[each.id] for each in key) for row in rows}
        self.committed([row for row in self.history.rows() if tuple(row.get(each.id) for each in key) not in gone])

    @rule(data=st.data(), steps=st.integers(1, 3))
    def change_columns(self, data: st.DataObject, steps: int) -> None:
        """Columns are added, dropped, renamed, widened, made optional and moved, in one commit."""
        laid_out = {*self.sorted, *(self.once if self.version == 1 else self.spec)}
        held = {field.name for spec in self.table.iceberg.specs().values() for field in spec.fields}
        with self.table.update_schema() as change:
            evolution = Evolution(data, change, self.columns, laid_out, held)
            for _ in range(steps):
                evolution.step()
        self.history.columns = evolution.columns

    @rule(data=st.data())
    def change_partitions(self, data: st.DataObject) -> None:
        """What is written from now on is partitioned in another way."""
        drop = data.draw(st.lists(st.sampled_from([*self.spec]), unique=True)) if self.spec else []
        dropped = self.terms({number: self.spec.pop(number) for number in drop}, self.columns)
        kept = dict(self.spec)
        self.draw_terms(data, self.columns)
        added = {number: term for number, term in self.spec.items() if number not in kept}
        self.table.update_partitions(add=self.terms(added, self.columns), drop=dropped)

    @rule(data=st.data())
    def change_order(self, data: st.DataObject) -> None:
        """What is written from now on is sorted in another way; lakeflow leaves that to pyiceberg."""
        able = [each for each in self.columns if each.kind and each.kind not in ("list", "pairs")]
        if not able:
            return
        chosen = data.draw(st.lists(st.sampled_from(able), min_size=1, max_size=2, unique=True))
        with self.table.refresh().iceberg.update_sort_order() as order:
            for column in chosen:
                data.draw(st.sampled_from([order.asc, order.desc]))(column.name, IdentityTransform())
        self.sorted = [each.id for each in chosen]

    @precondition(lambda self: self.history.states)
    @rule(data=st.data(), name=st.sampled_from(["audit", "try"]))
    def branch(self, data: st.DataObject, name: str) -> None:
        """A branch begins, with a row or none; it may be there already."""
        if name not in self.history.heads:
            self.history.heads[name] = self.some_snapshot(data)
            self.table.branch(name, self.history.heads[name])
        rows = self.some_rows(data)
        self.table.branch(name).append(data_of(rows, self.columns))
        self.committed([*self.history.rows(name), *rows], name)

    @precondition(lambda self: self.history.branches)
    @rule(data=st.data(), drop=st.booleans())
    def publish(self, data: st.DataObject, drop: bool) -> None:  # noqa: FBT001
        """Main gets what a branch has: it moves there, or the branch's appends are repeated on top of it."""
        name, history = data.draw(st.sampled_from(self.history.branches)), self.history
        head, main = history.heads[name], history.heads[MAIN]
        on_main, own = list(history.line(main)), list(history.line(head))
        new = [each for each in own if each not in on_main]
        done = {history.states[each].source for each in on_main}
        left = [each for each in reversed(new) if each not in done]
        branch = self.table.branch(name)
        if not new or main in own:
            branch.publish()
            history.heads[MAIN] = head if new else main
        elif len(new) == len(own) or any(history.states[each].appended is None for each in left):
            with pytest.raises(CommitConflictError):
                branch.publish()
        else:
            branch.publish()
            made = [each for each in self.table.refresh().snapshots() if each.id not in history.states]
            for source, snapshot in zip(left, made, strict=True):
                rows = [*history.rows(), *(history.states[source].appended or [])]
                history.heads[MAIN] = history.remember(snapshot, history.heads[MAIN], rows, source)
        self.touched = MAIN
        if drop:
            branch.drop()
            del history.heads[name]

    @precondition(lambda self: self.history.states)
    @rule(data=st.data(), name=st.sampled_from(["first", "second"]))
    def tag(self, data: st.DataObject, name: str) -> None:
        """A tag is set, or moved."""
        self.history.tags[name] = self.some_snapshot(data)
        self.table.tag(name, self.history.tags[name], replace=True)

    @precondition(lambda self: self.history.states)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """Main goes to any snapshot that is there."""
        wanted = self.history.heads[MAIN] = self.some_snapshot(data)
        self.table.refresh().iceberg.manage_snapshots().set_current_snapshot(snapshot_id=wanted).commit()
        self.touched = MAIN

    @precondition(lambda self: len(self.history.states) > 1)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Some snapshots that nothing names are forgotten; lakeflow leaves that to pyiceberg."""
        named = {*self.history.heads.values(), *self.history.tags.values()}
        old = [each for each in self.history.states if each not in named]
        chosen = data.draw(st.lists(st.sampled_from(range(len(old))), unique=True)) if old else []
        if chosen:
            gone = [old[number] for number in chosen]
            self.table.refresh().iceberg.maintenance.expire_snapshots().by_ids(gone).commit()
            for each in gone:
                self.history.expired[each] = self.history.states.pop(each)

    @rule(data=st.data(), past=st.booleans(), shards=st.sampled_from([None, 1, 3]))
    def look(self, data: st.DataObject, past: bool, shards: int | None) -> None:  # noqa: FBT001
        """Some columns of the rows that pass a filter, now or then, whole or in shards."""
        states = self.history.states
        snapshot = self.some_snapshot(data) if past and states else None
        columns = self.columns if snapshot is None else states[snapshot].columns
        rows = self.history.rows() if snapshot is None else states[snapshot].rows
        where, passes = data.draw(filters(columns))
        chosen = tuple(data.draw(st.lists(st.sampled_from(columns), min_size=1, unique=True)))

        scan = self.table.scan([each.name for each in chosen], where, snapshot)
        parts = [scan.read().to_arrow()] if shards is None else map(read_shard, scan.shards(shards))

        found = [row for part in parts for row in part.to_pylist()]
        assert in_order(found) == in_order([shown(row, chosen) for row in rows if passes(row)])

    @precondition(lambda self: self.history.states)
    @rule(data=st.data())
    def follow(self, data: st.DataObject) -> None:
        """The rows that appends brought between two snapshots; anything else between them is refused."""
        states, until = self.history.states, self.some_snapshot(data)
        line = list(self.history.line(until))
        since = data.draw(st.sampled_from([None, *line]))
        between = line if since is None else line[: line.index(since)]
        before = self.history.expired.get(states[line[-1]].parent or -1)
        if since is None and before is not None:
            if before.rows:  # else nothing may be left that tells of it
                with pytest.raises(NotFoundError, match="expired"):
                    self.table.changes(since, until)
        elif any(states[each].appended is None for each in between):
            with pytest.raises(UnsupportedError, match="removes or changes rows"):
                self.table.changes(since, until)
        else:
            found = self.table.changes(since, until).read().to_pylist()
            rows = [row for each in between for row in states[each].appended or []]
            assert in_order(found) == in_order([shown(row, states[until].columns) for row in rows])

    @invariant()
    def reads_right(self) -> None:
        """Opened anew, too, which is what other readers do."""
        if hasattr(self, "history"):
            self.history.check(self.touched)

    def teardown(self) -> None:
        """Every snapshot that is there reads as it did, by both readers; names lead where they should."""
        if sys.exception() is None and hasattr(self, "history"):
            self.history.check_all(by_pyiceberg=not self.others)


def test_any_history_reads_right(embedded: lf.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, columns, partitions, orders, branches, tags and expiry, on all branches, a dozen changes in a row."""
    monkeypatch.setattr(Histories, "lake", embedded, raising=False)

    # A history is a dozen steps as it is found; to shrink it takes minutes.
    asked = settings(max_examples=settings.default.max_examples // 6, stateful_step_count=12, phases=[Phase.generate])
    run_state_machine_as_test(Histories, settings=asked)
