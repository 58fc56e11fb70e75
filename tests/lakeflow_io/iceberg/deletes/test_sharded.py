"""Shards of a table with deletes: they carry them, and know where in its file each begins."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow.scan import read_shard

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


def rows(start: int, count: int) -> pa.Table:
    """Ids that count up; of texts, long and short ones."""
    ids = range(start, start + count)
    return pa.table({"id": ids, "text": ["x" * (1 + each % 7 * 40) for each in ids]}, schema=SCHEMA)


@pytest.fixture
def table(deleted_table: Callable[..., Any]) -> Any:
    """Four files of 12 row groups with 5 rows each; every third row of each is deleted, and one key."""
    made = deleted_table(SCHEMA)
    files = [made.data(rows(start, 60)) for start in range(0, 240, 60)]
    made.commit(*files)
    made.commit(*(made.positions([(file.file_path, n) for n in range(0, 60, 3)]) for file in files))
    made.commit(made.keys({"id": [100]}))
    return made


@pytest.mark.parametrize("by", ["bytes", "rows"])
@pytest.mark.parametrize("n", [1, 3, 7, 48])
def test_each_shard_has_the_deletes_of_its_files(table: Any, n: int, by: Any) -> None:
    """Alone, in another process, it gives the rows that are left, wherever its files were cut."""
    shards = table.table.scan().shards(n, by=by)

    found = [row for shard in shards for row in read_shard(pickle.loads(pickle.dumps(shard)))["id"].to_pylist()]

    assert len(shards) == n
    assert sorted(found) == [each for each in range(240) if each % 3 and each != 100]
    assert all(len(piece.deletes) == 2 for shard in shards for piece in shard.pieces)


def test_positions_are_those_of_the_file(table: Any) -> None:
    """`exact` tells what only footers can: the first row's position, by which each row's can be counted."""
    shards = table.table.scan().shards(7)
    assert None in {piece.first_row for shard in shards for piece in shard.pieces}

    exact = [shard.exact() for shard in shards]

    starts: dict[str, list[tuple[int, int]]] = {}
    for shard in exact:
        for piece in shard.pieces:
            assert piece.first_row is not None
            # Without its deletes a piece is its rows, one behind the other.
            starts.setdefault(piece.path, []).append((piece.first_row, piece.rows))
    for own in starts.values():
        counted = sorted(own)
        assert [first for first, _ in counted] == [sum(n for _, n in counted[:i]) for i in range(len(counted))]
        assert sum(count for _, count in counted) == 60
    assert [shard.exact() for shard in exact] == exact


def test_files_with_the_same_deletes_share_them(table: Any) -> None:
    """One tuple of one object each: shards are pickled by the hundred thousand."""
    table.commit(table.data(rows(300, 60)), table.data(rows(400, 60)))
    table.commit(table.keys({"id": [1]}))

    found = [piece.deletes for piece in table.table.scan().pieces]

    alike = [each for each in found if len(each) == 1]
    assert len(alike) == 2
    assert alike[0] is alike[1]
