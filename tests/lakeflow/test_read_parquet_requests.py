"""A file that is named is read in two round trips; a folder of such a name is found, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakeflow as lf
from benchmarks.s3like import run_s3like

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.s3like import S3Like


@pytest.fixture(scope="module")
def server() -> Iterator[S3Like]:
    """It counts requests."""
    with run_s3like("none") as started:
        yield started


@pytest.fixture
def table() -> pa.Table:
    """More than a megabyte."""
    random = np.random.default_rng(0)
    return pa.table({"a": random.random(100_000), "b": random.random(100_000)})


def verbs(server: S3Like) -> dict[str, Any]:
    """What was sent since the last time."""
    found: dict[str, Any] = server.counts()["verbs"]
    server.reset()
    return found


def test_one_file_is_its_end_and_its_columns(server: S3Like, tmp_path: Path, table: pa.Table) -> None:
    """No listing, and no footer twice: neither for its columns nor for its rows."""
    pq.write_table(table, tmp_path / "one.parquet")
    server.load(tmp_path)
    verbs(server)

    scan = lf.scan_parquet(f"s3://{server.bucket}/one.parquet", columns=["b"], **server.store_properties)
    assert verbs(server) == {"GET": 1}

    assert scan.read().to_arrow().equals(table.select(["b"]))
    assert verbs(server) == {"GET": 1}


def test_a_footer_larger_than_the_end_is_read_once_more(server: S3Like, tmp_path: Path) -> None:
    """A file of very many columns."""
    wide = pa.table({f"column_{number}": np.arange(10.0) for number in range(1000)})
    pq.write_table(wide, tmp_path / "wide.parquet")
    server.load(tmp_path)

    found = lf.read_parquet(f"s3://{server.bucket}/wide.parquet", **server.store_properties)

    assert found.to_arrow().equals(wide)


def test_a_folder_may_have_the_name_of_a_file(server: S3Like, tmp_path: Path, table: pa.Table) -> None:
    """As those that Spark writes; a small file, and one in shards."""
    (tmp_path / "spark.parquet").mkdir()
    pq.write_table(table, tmp_path / "spark.parquet" / "part-0.parquet", row_group_size=10_000)
    server.load(tmp_path)

    scan = lf.scan_parquet(f"s3://{server.bucket}/spark.parquet", **server.store_properties)

    assert scan.read().to_arrow().equals(table)
    assert [shard.pieces[0].footer for shard in scan.shards(2)] == [b"", b""]
