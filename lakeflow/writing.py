"""What changes a table's rows: each function writes files first, and then commits one snapshot."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import pyarrow as pa

from lakeflow.stream import bounded_tables
from lakeflow_io.budget import default_budget, parse_bytes
from lakeflow_io.errors import InputError, SchemaError
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.commit import commit_change
from lakeflow_io.iceberg.conform import conform
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.keys import Keys, key_columns
from lakeflow_io.iceberg.merge import Clauses, Join, join_files, write_joined
from lakeflow_io.iceberg.overwrite import find_partitions, find_whole_table
from lakeflow_io.iceberg.positions import write_positions
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.iceberg.remove import find_rows_where, write_rest
from lakeflow_io.iceberg.spool import Spool
from lakeflow_io.iceberg.stage import Stager

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from lakeflow_io.iceberg.write import Writer

__all__ = ["Target", "append", "delete", "merge", "overwrite", "overwrite_partitions"]

# Of the memory: what is read, what is written, and joined rows that aren't set aside, each.
_SHARE = 3
# Of a stream, Arrow bytes that are taken over at one time.
_MOST_TAKEN_BYTES = 64 * 1024 * 1024
_ROWS = "lakeflow.matched-rows"


@dataclass(frozen=True, slots=True)
class Target:
    """What is changed."""

    table: IcebergTable
    """As it was just loaded: a change is planned on what is there now."""
    name: str
    branch: str
    """It is there."""
    run_id: str | None

    @property
    def head(self) -> IcebergSnapshot | None:
        """The newest snapshot, on which changes are planned; None where nothing was ever written."""
        return self.table.metadata.snapshot_by_name(self.branch)

    @property
    def head_id(self) -> int | None:
        """Its id."""
        return None if self.head is None else self.head.snapshot_id

    def commit(self, writer: Writer, change: Change, summary: Mapping[str, str] | None = None) -> IcebergSnapshot:
        """Commit what was written; its files go where it is certain that no snapshot names them."""
        writer.committing = True
        snapshot, ours = commit_change(self.table, self.name, change, summary or {}, self.run_id, writer.discard)
        if not ours:
            writer.discard()  # a twin with this run id was a moment faster
        return snapshot


def append(target: Target, data: Any, memory: int | str | None) -> IcebergSnapshot:
    """Add rows."""
    budget = _budget(memory)
    with _writing(target, "append", budget) as writer:
        _write(writer, data, budget)
        return target.commit(writer, Change("append", added=writer.close(), branch=target.branch))


def overwrite(
    target: Target, data: Any, where: str | BooleanExpression | None, memory: int | str | None
) -> IcebergSnapshot:
    """Rows that match a filter go, others come."""
    budget = _budget(memory) // 2
    table, name, head_id = target.table, target.name, target.head_id
    predicate = None if where is None else parse_filter(where, table.schema(), name)
    with _writing(target, "overwrite", budget) as writer:
        if predicate is None:
            removal, conflicts = find_whole_table(table, name, head_id)
        else:
            removal, conflicts = find_rows_where(table, name, head_id, predicate, budget)
            write_rest(removal, writer, budget)
        _write(writer, data, budget)
        change = Change(
            "overwrite",
            head_id,
            writer.close(),
            removal.removed,
            conflicts=conflicts,
            rows_were_read=predicate is not None,
            branch=target.branch,
        )
        return target.commit(writer, change)


def overwrite_partitions(target: Target, data: Any, memory: int | str | None) -> IcebergSnapshot | None:
    """Rows come, and all others of their partitions go; without rows the table stays as it is."""
    budget = _budget(memory) // 2
    table, head_id = target.table, target.head_id
    with _writing(target, "overwrite", budget) as writer:
        _write(writer, data, budget)
        added = writer.close()
        if not added:
            return target.head
        partitions = {tuple(file["partition"]) for file in added}
        removal, conflicts = find_partitions(table, target.name, head_id, table.spec(), partitions, budget)
        write_rest(removal, writer, budget)
        change = Change(
            "overwrite", head_id, writer.close(), removal.removed, conflicts=conflicts, branch=target.branch
        )
        return target.commit(writer, change)


def delete(
    target: Target,
    where: str | BooleanExpression,
    mode: Literal["copy-on-write", "merge-on-read"],
    memory: int | str | None,
) -> IcebergSnapshot | None:
    """Rows that match a filter go; where there are none, the table stays as it is."""
    _one_of("mode", mode, ("copy-on-write", "merge-on-read"))
    budget = _budget(memory) // 2
    table, name = target.table, target.name
    predicate = parse_filter(where, table.schema(), name)
    with _writing(target, "delete", budget) as writer:
        removal, conflicts = find_rows_where(table, name, target.head_id, predicate, budget)
        if not removal.removed:
            return target.head
        of_rows = Change("delete", removal.snapshot_id, conflicts=conflicts, branch=target.branch)
        if mode == "copy-on-write":
            write_rest(removal, writer, budget)
            added = writer.close()
            kind: Literal["overwrite", "delete"] = "overwrite" if added else "delete"
            change = replace(of_rows, operation=kind, added=added, removed=removal.removed)
        else:
            stager = Stager.for_table(table, name)
            writer.staged += write_positions(removal, stager, f"delete-{uuid4().hex[:8]}", budget)
            change = replace(
                of_rows, added=writer.staged, removed=removal.whole, referred=removal.parts, rows_were_read=False
            )
        return target.commit(writer, change)


def merge(
    target: Target, data: Any, key: Sequence[str] | str, clauses: Clauses, memory: int | str | None
) -> IcebergSnapshot | None:
    """Rows are joined with the table's by key; where nothing changes, the table stays as it is."""
    _one_of("matched", clauses.matched, ("update", "replace", "delete", "keep"))
    _one_of("not_matched", clauses.not_matched, ("insert", "ignore"))
    _one_of("not_matched_by_source", clauses.not_matched_by_source, ("delete", "keep"))
    share = _budget(memory) // _SHARE
    table, name = target.table, target.name
    schema = arrow_schema(table.schema(), field_ids=True)
    names = key_columns(key, schema, name)
    with _writing(target, "merge", share) as writer, _spooled(data, name, schema, names, clauses, share) as rows:
        keys = Keys(rows, names, table.schema())
        join = Join(table, name, target.head_id, rows, keys, clauses)
        join_files(join, share)
        write_joined(join, writer, share)
        added = writer.close()
        kind: Literal["append", "overwrite", "delete"] = "append" if not join.removed else "overwrite"
        change = Change(
            kind if added else "delete",
            join.snapshot_id,
            added,
            join.removed,
            conflicts=join.may_concern,
            branch=target.branch,
        )
        if change.empty:
            return target.head
        return target.commit(writer, change, {_ROWS: str(join.matched_rows)})


@contextmanager
def _spooled(
    data: Any, name: str, schema: pa.Schema, key: Sequence[str], clauses: Clauses, memory: int
) -> Generator[pa.Table]:
    """The rows to join, of the table's types: those of its columns that they have."""
    tables = bounded_tables(data, min(memory, _MOST_TAKEN_BYTES))
    first = next(tables)
    fields = _joined_schema(first, name, schema, key, clauses)
    with Spool(fields, memory) as spool:
        spool.add(conform(first, fields, name))
        for rows in tables:
            spool.add(conform(rows, fields, name))
        yield spool.table()


def _joined_schema(rows: pa.Table, name: str, schema: pa.Schema, key: Sequence[str], clauses: Clauses) -> pa.Schema:
    missing = [field for field in schema if field.name not in rows.column_names]
    needed = [field.name for field in missing if field.name in key]
    if clauses.not_matched == "insert":
        needed += [field.name for field in missing if not field.nullable and field.name not in needed]
    if clauses.matched == "replace":
        needed = [field.name for field in missing]
    if needed:
        raise SchemaError(
            f"The data to join with {name} lacks " + ", ".join(f"column {each!r}" for each in needed) + ".",
            "a merge with matched='update' and not_matched='ignore' needs the key and the columns that change; "
            "an upsert needs all columns.",
        )
    return pa.schema([field for field in schema if field.name in rows.column_names])


def _write(writer: Writer, data: Any, memory: int) -> None:
    for rows in bounded_tables(data, min(memory, _MOST_TAKEN_BYTES)):
        writer.write(rows)


@contextmanager
def _writing(target: Target, verb: str, memory: int) -> Generator[Writer]:
    """A writer whose files go where the block raises before the commit was tried."""
    writer = Stager.for_table(target.table, target.name).writer(f"{verb}-{uuid4().hex[:8]}", memory)
    try:
        yield writer
    except BaseException:
        if not writer.committing:
            writer.discard()
        raise


def _budget(memory: int | str | None) -> int:
    return default_budget() if memory is None else parse_bytes(memory)


def _one_of(what: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{what}={value!r} is unknown.", "it is " + " or ".join(repr(each) for each in known) + ".")
