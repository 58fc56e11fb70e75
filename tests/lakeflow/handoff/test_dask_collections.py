"""Dask collections from the shards of a scan, read where Dask runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from lakeflow.scan import read_shard
from lakeflow_engines.frames import dask_frame

if TYPE_CHECKING:
    import pyarrow as pa

    import lakeflow as lf


def test_a_frame_has_a_partition_a_shard_and_arrows_types(mixed: lf.Table) -> None:
    """What it promises before it reads is what comes; divisions are unknown."""
    frame = mixed.scan().to_dask(n=3)

    found = frame.compute(scheduler="synchronous")

    assert (frame.npartitions, frame.known_divisions) == (3, False)
    assert frame.dtypes.equals(found.dtypes)
    assert all(isinstance(kind, pd.ArrowDtype) for kind in found.dtypes)
    assert sorted(found["row"]) == list(range(36))


def test_only_the_columns_in_use_are_read(mixed: lf.Table) -> None:
    """Dask's optimiser hands them over."""
    asked: list[Any] = []

    def read(shard: lf.Shard, columns: list[str] | None = None) -> pa.Table:
        asked.append(columns)
        return read_shard(shard, columns=columns)

    scan = mixed.scan(where="s like 'b%'")
    frame = dask_frame(scan.shards(n=2), read, scan.schema)

    assert frame["i"].sum().compute(scheduler="synchronous") == 10 + 11 + 13 + 14 + 15 + 10 + 17
    assert asked == [["i"]]


def test_a_bag_has_rows_as_dicts(mixed: lf.Table) -> None:
    """One partition a shard."""
    scan = mixed.scan(columns=["row", "s"], where="i > 20")
    bag = scan.to_dask_bag(n=2)

    assert bag.npartitions == 2
    found = bag.compute(scheduler="synchronous")
    assert scan.read().to_arrow().sort_by("row").to_pylist() == sorted(found, key=lambda row: row["row"])


def test_a_table_without_rows_makes_collections_without_rows(
    embedded: lf.Lake, namespace: str, mixed: lf.Table
) -> None:
    """One empty partition, with the types."""
    scan = embedded.create_table(f"{namespace}.none", mixed.schema).scan()

    assert scan.to_dask().compute(scheduler="synchronous").shape == (0, 12)
    assert scan.to_dask_bag().compute(scheduler="synchronous") == []


def test_worker_processes_read_their_shards(mixed: lf.Table, dask_client: Any) -> None:
    """What the graph holds may be sent."""
    frame, bag = mixed.scan().to_dask(n=4), mixed.scan().to_dask_bag(n=4)

    assert dask_client.compute(frame["row"].sum()).result() == sum(range(36))
    assert dask_client.compute(bag.count()).result() == 36
