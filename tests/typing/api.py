"""The public API as users call it: checked by mypy and pyright, never run."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false
# (pyarrow has no annotations; what lakeflow itself returns is annotated below and checked)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import lakeflow as lf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import dask.bag
    import dask.dataframe
    import duckdb
    import pandas as pd
    import polars as pl


def use(*values: object) -> None:
    """Stands for whatever a user does with a value."""


def connect() -> lf.Lake:
    """Every way into a lakehouse."""
    lf.connect("prod")
    lf.connect(uri="http://localhost:8181", warehouse="s3://tables", **{"s3.endpoint": "http://localhost:8333"})
    return lf.connect()


def tables(lake: lf.Lake) -> lf.Table:
    """Names, and a new table."""
    names: list[str] = [*lake.namespaces(), *lake.tables(), *lake.tables("kg")]
    if lake.has_table(names[0]):
        lake.drop_table(names[0])
    schema = pa.schema([("id", pa.int64())])
    return lake.create_table(
        "kg.t", schema, partition_by=["bucket(16, id)"], sort_by=["id desc"], properties={"a": "b"}
    )


def changing(table: lf.Table, reader: pa.RecordBatchReader) -> None:
    """All that changes rows."""
    made: lf.Snapshot = table.append(reader, run_id="load-1", memory="512 MiB")
    replaced: lf.Snapshot = table.overwrite([{"id": 1}], where="id = 1")
    partitions: lf.Snapshot | None = table.overwrite_partitions({"id": [1]}, memory=2**28)
    deleted: lf.Snapshot | None = table.delete("id > 7", mode="merge-on-read")
    upserted: lf.Snapshot | None = table.upsert(reader, key="id")
    merged: lf.Snapshot | None = table.merge(
        reader, key=["id", "kind"], matched="update", not_matched="ignore", not_matched_by_source="delete"
    )
    use(made, replaced, partitions, deleted, upserted, merged)


def time_and_change(lake: lf.Lake, path: Path) -> None:
    """States, branches, changes, metadata, evolution; tables without a catalog and of files that are there."""
    store: dict[str, Any] = {"s3.region": "eu-central-1"}
    table: lf.Table = lf.open_table(path, relocate={"hdfs://a": "s3://b"}, **store)
    folder: lf.Table = lf.open_table(path, hive={"year": pa.int32()}, union_by_name=True)
    rows_are: str = folder.describe().rows_are
    adopted: lf.Table = lake.adopt([path], "kg.adopted", hive={"year": pa.int32()}, properties={"a": "b"})
    scans: list[lf.Scan] = [
        table.scan(snapshot=7), table.scan(snapshot="main"), table.scan(snapshot=datetime.now(UTC)),
        table.changes(since=7, until="main", columns=["id"], where="id > 3", overwrites="expand"),
    ]  # fmt: skip
    with table.branch("audit", "v1", keep=False) as branch:
        written: lf.Snapshot = branch.append({"id": [1]}, run_id="r")
        fewer: lf.Snapshot | None = branch.delete("id = 1", mode="merge-on-read", memory="64 MiB")
        rows: lf.DataFrame = branch.head(3)
        published: lf.Snapshot = branch.publish()
    tagged: lf.Snapshot = table.tag("v1", written.id, replace=True)
    with table.update_schema() as change:
        change.add("year", pa.int32(), doc="d").rename("a", "b").move("year", after="b").promote("id", pa.int64())
        change.drop(["a.b"]).optional("c")
    table.update_partitions(add=["day(ts)"], drop="c")
    table.set_properties({"a": 1, "b": None})
    use(adopted, rows_are, scans, fewer, rows, published, tagged, table.files("v1"), table.refs(), table.properties)


def reading(table: lf.Table) -> None:
    """Scans and what they turn into."""
    scan: lf.Scan = table.scan(columns=["id", "title"], where="year >= 2000", snapshot=None)
    frame: lf.DataFrame = scan.read(memory="512 MiB")
    polars_frame: pl.DataFrame = frame.to_polars()
    pandas_frame: pd.DataFrame = frame.to_pandas()
    relation: duckdb.DuckDBPyRelation = frame.to_duckdb()
    rows: list[dict[str, Any]] = frame.sql("select * from df").to_pylist()
    batches: Iterator[pa.RecordBatch] = scan.batches(memory=2**20)
    shards: list[lf.Shard] = [
        *scan.shards(n=4),
        *scan.shards(target_size="1 GiB"),
        *scan.shards(by="partition"),
        *scan.shards(9, by="rows"),
    ]
    first: int | None = shards[0].exact().pieces[0].first_row
    use(polars_frame, pandas_frame, relation, rows, batches, shards, first, len(frame), table.head(3))


def handing_off(scan: lf.Scan, connection: duckdb.DuckDBPyConnection) -> None:
    """A scan that gets narrower, and every library that takes it."""
    narrower: lf.Scan = scan.select(["id", "title"]).where("year >= 2000").limit(10)
    stream: pa.RecordBatchReader = narrower.to_reader(memory="64 MiB")
    eager: pl.DataFrame = scan.to_polars()
    lazy: pl.LazyFrame = scan.to_polars_lazy()
    pandas_frame: pd.DataFrame = scan.to_pandas()
    relations: list[duckdb.DuckDBPyRelation] = [scan.to_duckdb(), scan.to_duckdb(connection)]
    dask_frames: list[dask.dataframe.DataFrame] = [scan.to_dask(), scan.to_dask(n=8)]
    bag: dask.bag.Bag = scan.to_dask_bag(target_size="64 MiB")
    use(narrower, stream, eager, lazy, pandas_frame, relations, dask_frames, bag)


def appending(table: lf.Table) -> lf.Snapshot:
    """Appends and snapshots."""
    table.append({"id": [1, 2]})
    ids: list[int] = [snapshot.id for snapshot in table.snapshots()]
    current: lf.Snapshot | None = table.refresh().snapshot
    use(ids, current)
    return table.append(pa.table({"id": [1]}))


def plain(path: Path) -> lf.DataFrame:
    """Files without a catalog."""
    store: dict[str, Any] = {"s3.region": "eu-west-1"}
    scan: lf.Scan = lf.scan_parquet([path, "s3://b/t/year=*"], hive={"year": pa.int32()}, **store)
    use(scan.pieces, scan.shards(n=2))
    return lf.read_parquet(path, columns=["a"], where="a > 1", schema=pa.schema([("a", pa.int64())]), memory="1 GiB")


def running(source: lf.Table, into: lf.Table) -> int:
    """A function over shards."""

    def match(rows: pl.DataFrame, names: pa.Table, limit: int) -> pl.DataFrame:
        use(names, limit)
        return rows

    run: lf.Run = lf.foreach(
        source.scan().shards(n=64), match, into=into, run_id="match-1", engine="dask", retries=3,
        params={"limit": 3}, shared={"names": source},
    )  # fmt: skip
    values: list[Any] = lf.foreach(source.scan(), match, slots=2, progress=False).results
    page: Path = run.report("match-1.html")
    items: lf.Run = lf.foreach(
        [{"alpha": 0.1}], str, into={"a": into, "b": source}, mode="overwrite", where="id > 3", on_error="quarantine",
        max_failures=0.1, deadline=60, hard_deadline=120, speculate=False,
    )  # fmt: skip
    use(
        values,
        page,
        run.rows,
        run.seconds,
        items.snapshot_ids,
        items.quarantined,
        items.quarantined_shards,
        items.partial,
    )
    return run.snapshot_id


def runs(lake: lf.Lake) -> None:
    """What there is, what goes on, and what is given up."""
    infos: list[lf.RunInfo] = lake.runs("kg.t")
    resumed: list[lf.Run] = [
        lf.resume("match-1"), lake.resume("match-1", str, engine="threads"),
        lf.resume("match-1", lake=lake, into="kg.t", allow_code_change=True),
    ]  # fmt: skip
    files: list[str] = [
        uri for run in lake.collect_runs(older_than=timedelta(days=1), dry_run=True) for uri in run.files
    ]
    use(resumed, files, [(info.state, info.owner, info.age_seconds, info.progress) for info in infos])


def serving(path: Path) -> lf.Client:
    """A server's application, and a client of one."""
    application = lf.serve.app(path, require=["scores"], token="t" * 16, shared=path)
    client = lf.Client("http://127.0.0.1:8080", token="t" * 16, timeout=3, retries=2)
    with client as opened:
        row: dict[str, Any] | None = opened.get("scores", 42)
        known: dict[str, Any] | int | None = opened.get("scores", b"k", 7)
        rows: pa.Table = opened.get_many("scores", ["a", "b"])
        pair: dict[str, Any] | None = opened.get("pairs", ("ann", 42))
        pairs: pa.Table = opened.get_many("pairs", rows)
    use(application, row, known, rows, pair, pairs)
    client.close()
    return client


def failing() -> str | None:
    """One clause catches everything; a hint says what to do."""
    try:
        lf.connect()
    except lf.errors.StoreError as error:
        return error.hint
    except lf.LakeflowError as error:
        return error.message
    return None


def caches(lake: lf.Lake, rows: pa.Table) -> None:
    """Versions of a cache: made, checked, changed, compared, read, removed."""

    def keeps_its_rows(new: lf.cache.OpenVersion, old: lf.cache.OpenVersion | None) -> str | None:
        return "rows went away" if old and new.rows < old.rows else None

    checks = [
        lf.cache.min_rows(10),
        lf.cache.max_null("x", 0.1),
        lf.cache.drift_from_previous("x", 0.1),
        keeps_its_rows,
    ]
    cache = lf.Cache("scores", "./caches", keep=5, grace=60.0, layout="rows")
    version: lf.CacheVersion = cache.load(rows, key=["user", "item"], run_id="r", checks=checks)
    updated: lf.CacheVersion = cache.update(rows, delete=[("ann", 1)], checks=checks)
    run: lf.Run = lf.precompute(lake.table("kg.t").scan(), len, cache=cache, key="id", checks=checks)
    one: dict[str, Any] | None = cache.get(("ann", 1), columns=["x"])
    table: pa.Table = cache.get_many([1, 2])
    many: dict[Any, dict[str, Any] | None] = cache.get_many(rows, to="dict")
    polars: pl.DataFrame = cache.get_many(["a"], columns=("x",), to="polars")
    pandas: pd.DataFrame = cache.get_many([b"a"], to="pandas")
    duck: duckdb.DuckDBPyRelation = cache.get_many([1], to="duckdb")
    changes: pa.RecordBatchReader = cache.diff(version.id, updated.id)
    pinned: bool = cache.pin(version.id).pinned
    removed: tuple[str, ...] = cache.gc().versions
    reader: lf.CacheReader = lf.open_cache("scores", "valkey://host:6379/1")
    local: lf.CacheReader = cache
    pushed: dict[str, Any] | None = reader.get(("ann", 1), columns=["x"])
    looked_up: pa.Table = local.get_many([1, 2])
    size: int = cache.stats().disk_bytes
    use(run, one, table, many, polars, pandas, duck, changes, pinned, removed, pushed, looked_up, size)
