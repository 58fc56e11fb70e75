"""A shard that is too large is cut into parts: every row group once, the same parts everywhere."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lakeflow as lf
from lakeflow.scan import read_shard
from lakeflow_io.iceberg.plan import Piece
from lakeflow_io.iceberg.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPEC: Any = SimpleNamespace(store={})


@st.composite
def shards(draw: st.DrawFn) -> Shard:
    """Whole files and parts of files, of many row groups or one."""
    pieces = []
    for number in range(draw(st.integers(0, 12))):
        groups = sorted(draw(st.lists(st.integers(5, 10**8), min_size=1, max_size=30, unique=True)))
        size = groups[-1] + draw(st.integers(1, 10**7))
        start = draw(st.sampled_from([0, groups[0]]))
        splits = tuple(at for at in (4, *groups) if at >= start)
        pieces.append(Piece(f"file-{number:03d}", size, start, size, size // 10, "", "", splits))
    return Shard(7, SPEC, tuple(pieces))


@given(shards())
def test_parts_are_the_shard(shard: Shard) -> None:
    """The parts' ranges, put in order, are the shard's; they lie between row groups; there are 16 at most."""
    parts = shard.split()

    groups = sum(len(piece.splits) for piece in shard.pieces)
    assert (len(parts) == 0) == (groups < 2)
    assert len(parts) <= 16
    if parts:
        ranges = [(piece.path, piece.start, piece.end) for part in parts for piece in part.pieces]
        for piece in shard.pieces:
            own = sorted((start, end) for path, start, end in ranges if path == piece.path)
            assert (own[0][0], own[-1][1]) == (piece.start, piece.end)
            assert all(one[1] == other[0] for one, other in pairwise(own))
            assert {start for start, _ in own[1:]} <= set(piece.splits)


@given(shards())
def test_parts_are_about_equal(shard: Shard) -> None:
    """None takes more than a sixteenth of the shard and one row group."""
    groups = []
    for piece in shard.pieces:
        edges = [piece.start, *piece.splits[1:], piece.end]
        groups += [end - start for start, end in pairwise(edges)]

    assert all(part.bytes <= shard.bytes // 16 + max(groups) + 1 for part in shard.split())


@given(shards())
def test_parts_have_names_of_their_own_and_are_not_cut_again(shard: Shard) -> None:
    """`shard-00007.2of4`; a pickled shard has the same parts."""
    parts = shard.split()

    assert [part.id for part in parts] == [f"shard-00007.{number + 1}of{len(parts)}" for number in range(len(parts))]
    assert all(part.index == 7 and part.split() == () for part in parts)
    assert pickle.loads(pickle.dumps(shard)).split() == parts


@pytest.fixture
def cut(embedded: lf.Lake, numbers: Callable[..., pa.Table]) -> Shard:
    """Two files of many row groups, rows of which are deleted, and one of a single row group, as one shard."""
    table = embedded.create_table(
        "ns.cut", numbers(1).schema, properties={"write.parquet.row-group-size-bytes": "4000"}
    )
    for start, rows in ((0, 1000), (1000, 900), (1900, 10)):
        table.append(numbers(rows, start))
    table.delete(where="id = 5 or id = 1500")
    [shard] = table.refresh().scan(where="id != 77").shards(n=1)
    return shard


def test_parts_read_what_the_shard_reads(cut: Shard) -> None:
    """Row by row, in order, with the filter and the deletes applied."""
    parts = cut.split()

    rows = pa.concat_tables([read_shard(part) for part in parts])
    assert len(parts) > 2
    assert rows.equals(read_shard(cut))


def test_footers_tell_what_manifests_do_not(cut: Shard) -> None:
    """Without split offsets the parts are the same."""
    blind = replace(cut, pieces=tuple(replace(piece, splits=()) for piece in cut.pieces))

    assert [[(piece.path, piece.start, piece.end) for piece in part.pieces] for part in blind.split()] == [
        [(piece.path, piece.start, piece.end) for piece in part.pieces] for part in cut.split()
    ]


def test_plain_files_are_cut_too(tmp_path: Path, numbers: Callable[..., pa.Table]) -> None:
    """A file that was read while the scan was planned has its footer with it."""
    import pyarrow.parquet as pq

    pq.write_table(numbers(1000), tmp_path / "plain.parquet", row_group_size=100)
    [shard] = lf.scan_parquet(tmp_path / "plain.parquet").shards(n=1)
    parts = shard.split()

    assert [read_shard(part).num_rows for part in parts] == [100] * 10
