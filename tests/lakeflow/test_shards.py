"""`Scan.shards` on real tables and folders: what is read to plan them, by whom, and that they stay the same."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import write_manifest_list

import lakeflow as lf
from lakeflow.runs.plan import described_works
from lakeflow.scan import read_shard
from lakeflow_io.errors import InputError
from lakeflow_io.iceberg import splits

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow_io.iceberg.shards import Shard

PLAN = """
import sys
import lakeflow as lf
from lakeflow.runs.plan import described_works
table = lf.connect().table(sys.argv[1])
for by in ("bytes", "rows", "partition"):
    cut = table.scan(where="id >= 5").shards(None if by == "partition" else 9, by=by)
    print(described_works(cut)["shards_digest"])
"""


@pytest.fixture
def table(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Eight files of 4 to 32 row groups, in as many manifests and four partitions."""
    made = embedded.create_table(
        f"{namespace}.t",
        numbers(1).schema,
        partition_by=["truncate(1000, id)"],
        properties={"write.parquet.row-group-limit": "10"},
    )
    for number in range(8):
        made.append(numbers(40 * (1 + number), 1000 * (number % 4) + 500 * (number // 4)))
    return made


@pytest.fixture
def read_footers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose footers are read while shards are planned."""
    read: list[str] = []
    original = splits.read_footer

    def noted(transport: Any, uri: str, size: int) -> Any:
        read.append(uri)
        return original(transport, uri, size)

    monkeypatch.setattr(splits, "read_footer", noted)
    return read


def ids(shards: list[lf.Shard]) -> list[int]:
    """Of all rows, sorted, each shard read as in another process."""
    copies = [pickle.loads(pickle.dumps(shard)) for shard in shards]
    return sorted(each for shard in copies for each in read_shard(shard)["id"].to_pylist())


@pytest.mark.parametrize("by", ["bytes", "rows"])
@pytest.mark.parametrize("n", [1, 2, 9, 30, 1000])
def test_shards_are_the_scan(table: lf.Table, n: int, by: Any, read_footers: list[str]) -> None:
    """All rows once; nothing but manifests is read to plan them."""
    scan = table.scan(where="id >= 5")

    shards = scan.shards(n, by=by)

    assert read_footers == []
    assert ids(shards) == sorted(scan.read().to_arrow()["id"].to_pylist())
    assert len(shards) <= n


def test_shards_of_a_size(table: lf.Table) -> None:
    """As many as it takes; by rows as many, with as many rows each."""
    total = sum(piece.bytes for piece in table.scan().pieces)

    by_bytes = table.scan().shards(target_size=total // 7)
    by_rows = table.scan().shards(target_size=total // 7, by="rows")

    assert len(by_bytes) == len(by_rows) == 8
    rows = [shard.rows for shard in by_rows]
    assert max(rows) - min(rows) <= 20


@pytest.mark.parametrize(
    "arguments",
    [{"n": 3, "target_size": "1 MiB"}, {"n": 3, "by": "partition"}, {"by": "partition", "target_size": 7},
     {"by": "size"}, {"n": 0}, {"n": 2.5}],
)  # fmt: skip
def test_what_can_not_be(table: lf.Table, arguments: Any) -> None:
    """Told as the caller's mistake."""
    with pytest.raises(InputError):
        table.scan().shards(**arguments)


def digest(shards: list[Shard]) -> str:
    """What a run's plan says of them."""
    found: str = described_works(shards)["shards_digest"]
    return found


def test_every_process_plans_the_same_shards(table: lf.Table) -> None:
    """Whatever the seed of its hashes is."""
    scan = table.scan(where="id >= 5")
    expected = [digest(scan.shards(9)), digest(scan.shards(9, by="rows"))]
    expected.append(digest(scan.shards(by="partition")))

    done = subprocess.run(
        [sys.executable, "-c", PLAN, table.name],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split() == expected


def test_manifests_may_come_in_any_order(table: lf.Table) -> None:
    """The order of their list is its writer's: shards are the snapshot's."""
    scan, snapshot, io = table.scan(), table.iceberg.current_snapshot(), table.iceberg.io
    expected = [scan.shards(9), scan.shards(9, by="rows"), scan.shards(by="partition")]
    manifests = snapshot.manifests(io)
    assert len(manifests) == 8

    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(manifests))
        Path(snapshot.manifest_list.removeprefix("file://")).unlink()
        with write_manifest_list(
            2, io.new_output(snapshot.manifest_list), snapshot.snapshot_id, None, snapshot.sequence_number, "null"
        ) as lists:
            lists.add_manifests([manifests[index] for index in order])
        again = table.scan()
        assert [again.shards(9), again.shards(9, by="rows"), again.shards(by="partition")] == expected


def without_splits(scan: lf.Scan) -> lf.Scan:
    """The scan as it is where manifests leave split offsets out, which they may."""
    from dataclasses import replace

    scan.pieces = [replace(piece, splits=(), chunks=()) for piece in scan.pieces]
    return scan


def test_footers_tell_what_manifests_leave_out(table: lf.Table, read_footers: list[str]) -> None:
    """Only those of files that are larger than a shard, or that make shards uneven; rows are exact then."""
    scan = without_splits(table.scan())

    few = scan.shards(2)
    assert read_footers == []
    many = scan.shards(40, by="rows")

    assert ids(few) == ids(many)
    assert 0 < len(set(read_footers)) == len(read_footers) <= 8
    cut = [piece for shard in many for piece in shard.pieces if not piece.is_whole]
    assert all(piece.first_row is not None for piece in cut)
    assert {piece.rows % 10 for piece in cut} == {0}
    assert max(shard.rows for shard in many) <= 1440 / 40 + 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty Parquet files of Zipf's sizes, in row groups of 50 rows."""
    random = np.random.default_rng(3)
    for number in range(20):
        rows = 10_000 // (number + 1)
        (tmp_path / f"half={number % 2}").mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"id": np.arange(rows) + 100_000 * number, "x": random.random(rows)}),
            tmp_path / f"half={number % 2}" / f"{number:02d}.parquet",
            row_group_size=50,
        )
    return tmp_path


@pytest.mark.parametrize("by", ["bytes", "rows"])
def test_a_folder_is_cut_in_the_same_way(folder: Path, by: Any, read_footers: list[str]) -> None:
    """Even, though nothing but a listing says how large files are; each footer is read once, small files' aren't."""
    scan = lf.scan_parquet(folder)

    shards = scan.shards(12, by=by)

    weights = [shard.bytes if by == "bytes" else shard.rows for shard in shards]
    assert (len(weights), max(weights) * 12 / sum(weights)) <= (12, 1.10)
    assert ids(shards) == sorted(scan.read().to_arrow()["id"].to_pylist())
    assert len(set(read_footers)) == len(read_footers) < 20


def test_files_smaller_than_a_shard_are_cut_where_that_evens_it(tmp_path: Path, read_footers: list[str]) -> None:
    """Five files of one size are no four shards: their footers tell where to cut. Five shards need none."""
    for number in range(5):
        rows = pa.table({"id": np.arange(2000) + 100_000 * number})
        pq.write_table(rows, tmp_path / f"{number}.parquet", row_group_size=50)
    scan = lf.scan_parquet(tmp_path, schema=pa.schema([("id", pa.int64())]))

    whole = scan.shards(5)
    assert (read_footers, [len(shard.pieces) for shard in whole]) == ([], [1] * 5)
    even = scan.shards(4)

    assert len(read_footers) == 5
    assert max(shard.bytes for shard in even) * 4 <= 1.10 * sum(shard.bytes for shard in even)
    assert ids(even) == ids(whole)


def test_positions_of_a_folders_rows(folder: Path) -> None:
    """Path and position name a row: they lead back to it, whoever reads the file."""
    shards = [shard.exact() for shard in lf.scan_parquet(folder).shards(12)]

    for shard in shards:
        values, begin = read_shard(shard)["id"].to_pylist(), 0
        for piece in shard.pieces:
            whole = pq.read_table(piece.path.removeprefix("file://"), columns=["id"], partitioning=None)["id"]
            assert values[begin : begin + piece.rows] == whole[piece.first_row :][: piece.rows].to_pylist()
            begin += piece.rows
        assert begin == len(values)


@pytest.mark.parametrize("by", ["bytes", "rows", "partition"])
def test_runs_and_dask_take_shards_of_any_kind(table: lf.Table, by: Any) -> None:
    """Each row reaches the function once."""
    expected = sorted(table.scan().read().to_arrow()["id"].to_pylist())
    n = None if by == "partition" else 6

    results = lf.foreach(table.scan().shards(n, by=by), lambda rows: rows["id"].to_pylist(), engine="serial").results
    frame = table.scan().to_dask(n, by=by)
    bag = table.scan().to_dask_bag(n, by=by)

    assert sorted(each for shard in results for each in shard) == expected
    assert sorted(frame["id"].compute(scheduler="sync").to_list()) == expected
    assert sorted(row["id"] for row in bag.compute(scheduler="sync")) == expected
    assert frame.npartitions == bag.npartitions == len(table.scan().shards(n, by=by))


def test_dask_tells_shards_apart_by_what_they_read(table: lf.Table) -> None:
    """The same snapshot gives the same name, another filter, column or cut another one."""
    from dask.base import tokenize

    scan = table.scan()
    token = tokenize(scan.shards(6))

    assert token == tokenize(pickle.loads(pickle.dumps(scan.shards(6))))
    others = [scan.shards(5), scan.select("id").shards(6), scan.where("id > 7").shards(6)]
    assert len({token, *map(tokenize, others)}) == 4
