"""Clean a table of sensor readings, shard by shard, in worker processes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

import lakeflow as lf

READINGS = 1_000_000


def clean(readings: pl.DataFrame, limits: pl.DataFrame, margin: float) -> pl.DataFrame:
    """Keep the readings within their sensor's limits; `limits` is shared by all tasks."""
    within = pl.col("value").is_between(pl.col("low") - margin, pl.col("high") + margin)
    return readings.join(limits, on="sensor").filter(within).select("sensor", "value")


def main() -> None:
    """Make the input where it is missing, run, and show what came out."""
    lake = lf.connect()
    schema = pa.schema([("sensor", pa.int32()), ("value", pa.float64())])
    for name in ("demo.readings", "demo.clean"):
        if not lake.has_table(name):
            lake.create_table(name, schema, partition_by=["bucket(8, sensor)"], sort_by=["sensor"])
    readings, cleaned = lake.table("demo.readings"), lake.table("demo.clean")
    random = np.random.default_rng(7)
    readings.append(
        {"sensor": random.integers(0, 100, READINGS).astype("int32"), "value": random.normal(20, 5, READINGS)},
        run_id="readings",
    )
    limits = pa.table({"sensor": pa.array(range(100), pa.int32()), "low": [10.0] * 100, "high": [30.0] * 100})

    run = lf.foreach(
        readings.scan().shards(by="partition"),
        clean,
        into=cleaned,
        run_id="clean-1",
        engine="dask",
        shared={"limits": limits},
        params={"margin": 0.5},
    )

    kept = cleaned.refresh().scan().read()
    print(f"{run.ran} of {run.shards} shards ran now; {len(kept):,} of {READINGS:,} readings kept")
    print(kept.sql("select count(distinct sensor) as sensors, round(avg(value), 2) as mean from df").to_pylist())


if __name__ == "__main__":
    main()
