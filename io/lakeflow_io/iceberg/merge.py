"""Rows joined with a table by key: which of its files change, and what becomes of their rows.

Three passes, none of which holds the table: the key's columns of the files that may have a key; then all columns of
the files in which a row changes; then the joined rows themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from lakeflow_io.iceberg.plan import live_files, plan_pieces
from lakeflow_io.iceberg.rewrite import each_file, full_spec, gathered, rewrite
from lakeflow_io.reader import output_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pyiceberg.table import Table

    from lakeflow_io.iceberg.file_match import FileFacts
    from lakeflow_io.iceberg.keys import Keys
    from lakeflow_io.iceberg.manifests.planned import LiveFile
    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.iceberg.write import Writer

__all__ = ["Clauses", "Join", "join_files", "write_joined"]

# Joined rows that are written at one time, or mapped from where they were set aside.
_ROWS_AT_ONCE = 256 * 1024
# Rows of small files that are looked up at one time.
_KEYS_AT_ONCE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Clauses:
    """What becomes of rows."""

    matched: Literal["update", "replace", "delete", "keep"]
    """Of the table's rows that have a key: get the joined row's columns, make room for it, go, or stay."""
    not_matched: Literal["insert", "ignore"]
    """Of joined rows whose key no row of the table has."""
    not_matched_by_source: Literal["delete", "keep"]
    """Of the table's rows that have no key."""

    def going(self, matched: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows of the table go."""
        going = matched if self.matched in ("replace", "delete") else np.zeros(len(matched), bool)
        return going | ~matched if self.not_matched_by_source == "delete" else going


@dataclass(slots=True)
class Join:
    """Some rows, joined with a snapshot of a table."""

    table: Table
    name: str
    snapshot_id: int | None
    rows: pa.Table
    """Of the table's types; its key's columns, and any others."""
    keys: Keys
    clauses: Clauses
    seen: NDArray[np.bool_] = field(init=False)
    """Of which of `rows` the table has the key."""
    whole: dict[str, LiveFile] = field(default_factory=dict)
    """Files of which all rows go, by path."""
    parts: dict[str, LiveFile] = field(default_factory=dict)
    """Files of which some rows go or change."""
    pieces: list[Piece] = field(default_factory=list)
    """How `parts` are read."""
    matched_rows: int = 0
    """Rows of the table that have a key."""

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.rows.num_rows, bool)

    @property
    def removed(self) -> dict[str, LiveFile]:
        """All files that go."""
        return {**self.whole, **self.parts}

    @property
    def updated(self) -> list[str]:
        """Columns that rows of the table get from `rows`: none where these have nothing but the key."""
        names = self.rows.column_names if self.clauses.matched == "update" else []
        return [name for name in names if name not in self.keys.names]

    def may_concern(self, file: FileFacts) -> bool:
        """Whether a data file may hold rows that go or change."""
        return self.clauses.not_matched_by_source == "delete" or self.keys.may_be_in(file, self.table.specs())


def join_files(join: Join, memory: int) -> None:
    """Find the files in which rows go or change, and which joined rows the table has the keys of.

    Args:
        join: Gets what is found.
        memory: Bytes in flight.
    """
    spec = full_spec(join.table, join.name, join.snapshot_id, join.keys.names)
    live = live_files(join.table, spec, [field.field_id for field in spec.columns.fields])
    files = {path: each for path, each in live.items() if join.may_concern(each)}
    pieces = [piece for piece in plan_pieces(join.table, spec) if piece.path in files] if files else []

    for some in _together(pieces):
        for piece, going, matching in _counted(join, spec, some, memory):
            join.matched_rows += matching
            if going == piece.rows:
                join.whole[piece.path] = files[piece.path]
            elif going or (matching and join.updated):
                join.parts[piece.path] = files[piece.path]
                join.pieces.append(piece)


def _together(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Small files in groups, large ones alone."""
    group: list[Piece] = []
    rows = 0
    for piece in pieces:
        if group and rows + piece.rows > _KEYS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(piece)
        rows += piece.rows
    if group:
        yield group


def _counted(join: Join, spec: ReadSpec, pieces: list[Piece], memory: int) -> list[tuple[Piece, int, int]]:
    """How many rows of each file go, and how many have a key."""

    def tell(rows: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        found = join.keys.rows_of(rows)
        matched = found.is_valid().to_numpy(zero_copy_only=False)
        join.seen[found.drop_null().to_numpy()] = True
        return matched, join.clauses.going(matched)

    def count(piece: Piece, tables: Iterator[pa.Table]) -> tuple[Piece, int, int]:
        told = [tell(rows) for rows in gathered(tables)]
        return piece, sum(int(going.sum()) for _, going in told), sum(int(matched.sum()) for matched, _ in told)

    if len(pieces) == 1:
        return each_file(spec, pieces, count, memory)
    # All keys are hashed for each look-up: one for all of these files.
    tables = each_file(spec, pieces, lambda _, tables: list(tables), memory)
    ends = np.cumsum([sum(rows.num_rows for rows in own) for own in tables])
    matched, going = tell(
        pa.concat_tables([output_schema(spec).empty_table(), *(rows for own in tables for rows in own)])
    )
    parts = zip(pieces, np.split(going, ends[:-1]), np.split(matched, ends[:-1]), strict=True)
    return [(piece, int(going.sum()), int(matched.sum())) for piece, going, matched in parts]


def write_joined(join: Join, writer: Writer, memory: int) -> None:
    """Write what becomes of the rows of files that change, and the joined rows that are added.

    Args:
        join: After `join_files`.
        writer: Where they go.
        memory: Bytes in flight.
    """
    updated = join.updated

    def change(rows: pa.Table) -> pa.Table:
        found = join.keys.rows_of(rows)
        matched = found.is_valid().to_numpy(zero_copy_only=False)
        if updated and matched.any():
            rows = _updated(rows, join.rows.select(updated).take(found.drop_null()), matched)
        return rows.filter(pa.array(~join.clauses.going(matched)))

    rewrite(full_spec(join.table, join.name, join.snapshot_id), join.pieces, change, writer, memory)
    if join.clauses.not_matched == "insert":
        # Where rows have made room, every joined row is new.
        added = np.ones(len(join.seen), bool) if join.clauses.matched == "replace" else ~join.seen
        for start in range(0, join.rows.num_rows, _ROWS_AT_ONCE):
            mask = pa.array(added[start : start + _ROWS_AT_ONCE])
            writer.write(join.rows.slice(start, _ROWS_AT_ONCE).filter(mask))


def _updated(rows: pa.Table, new: pa.Table, matched: NDArray[np.bool_]) -> pa.Table:
    """`rows`, with the columns of `new` in those that `matched` marks."""
    chosen = np.arange(rows.num_rows)
    chosen[matched] = rows.num_rows + np.arange(new.num_rows)
    for name in new.column_names:
        position = rows.schema.get_field_index(name)
        kind = rows.schema.field(position).type
        both = pa.chunked_array([*rows.column(position).chunks, *new.column(name).cast(kind).chunks], kind)
        rows = rows.set_column(position, rows.schema.field(position), both.take(pa.array(chosen)))
    return rows
