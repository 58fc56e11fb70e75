"""Rows that go: whole files by their metadata, others written anew without them, or positions beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakeflow_io.iceberg.file_match import FileJudge
from lakeflow_io.iceberg.plan import plan_files, plan_pieces, read_spec
from lakeflow_io.iceberg.predicate import referenced_columns
from lakeflow_io.iceberg.rewrite import each_file, full_spec, passing_rows, rewrite
from lakeflow_io.iceberg.verdict import Match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

    from lakeflow_io.iceberg.file_match import FileFacts
    from lakeflow_io.iceberg.manifests.planned import LiveFile
    from lakeflow_io.iceberg.plan import Piece
    from lakeflow_io.iceberg.write import Writer

__all__ = ["Removal", "find_rows", "find_rows_where", "write_rest"]


@dataclass(slots=True)
class Removal:
    """The rows of one snapshot that go."""

    table: Table
    name: str
    snapshot_id: int | None
    columns: list[str]
    """What `passes` looks at."""
    passes: Callable[[pa.Table], NDArray[np.bool_]]
    """Which of some rows go."""
    whole: dict[str, LiveFile] = field(default_factory=dict)
    """Files of which all rows go, by path."""
    parts: dict[str, LiveFile] = field(default_factory=dict)
    """Files of which some go, by path."""
    pieces: dict[str, Piece] = field(default_factory=dict)
    """How `parts` are read."""

    @property
    def removed(self) -> dict[str, LiveFile]:
        """All files that go, where those of which some rows stay are written anew."""
        return {**self.whole, **self.parts}


def find_rows_where(
    table: Table, name: str, snapshot_id: int | None, predicate: BooleanExpression, memory: int
) -> tuple[Removal, Callable[[FileFacts], bool]]:
    """Find the rows of a snapshot for which a filter is true.

    Args:
        table: As it is now.
        name: For messages.
        snapshot_id: Which.
        predicate: Known to fit the table's schema.
        memory: Bytes in flight.

    Returns:
        The rows, and whether a file that somebody adds may hold more such rows.
    """
    schema = table.schema()
    judge = FileJudge.of(predicate, schema, table.specs())
    columns = referenced_columns(predicate) or [schema.fields[0].name]
    spec = read_spec(table, name, snapshot_id, columns, predicate, schema)
    passes = passing_rows(full_spec(table, name, snapshot_id), predicate)
    removal = Removal(table, name, snapshot_id, columns, passes)
    files, unsure = {}, []
    for piece, file in zip(*plan_files(table, spec, judge.columns), strict=True):
        files[piece.path] = file
        match = judge.match(file)
        if match is Match.ALL:
            removal.whole[piece.path] = file
        elif match is Match.SOME:
            unsure.append(piece)

    def count(piece: Piece, tables: Iterator[pa.Table]) -> tuple[Piece, int]:
        return piece, sum(rows.num_rows for rows in tables)

    _sort_out(removal, files, each_file(spec, unsure, count, memory))
    return removal, lambda file: judge.match(file) is not Match.NONE


def find_rows(removal: Removal, files: Mapping[str, LiveFile], memory: int) -> None:
    """Find the rows that go by looking at all rows of some files.

    Args:
        removal: Gets the files that hold any.
        files: Those that may, by path.
        memory: Bytes in flight.
    """
    spec = full_spec(removal.table, removal.name, removal.snapshot_id, removal.columns)
    pieces = [piece for piece in plan_pieces(removal.table, spec) if piece.path in files]

    def count(piece: Piece, tables: Iterator[pa.Table]) -> tuple[Piece, int]:
        return piece, sum(int(removal.passes(rows).sum()) for rows in tables)

    _sort_out(removal, files, each_file(spec, pieces, count, memory))


def _sort_out(removal: Removal, files: Mapping[str, LiveFile], counted: Iterable[tuple[Piece, int]]) -> None:
    for piece, rows in counted:
        if rows == piece.rows:
            removal.whole[piece.path] = files[piece.path]
        elif rows:
            removal.parts[piece.path] = files[piece.path]
            removal.pieces[piece.path] = piece


def write_rest(removal: Removal, writer: Writer, memory: int) -> None:
    """Write what stays of files of which some rows go."""
    spec = full_spec(removal.table, removal.name, removal.snapshot_id)
    rewrite(spec, list(removal.pieces.values()), lambda rows: rows.filter(~removal.passes(rows)), writer, memory)
