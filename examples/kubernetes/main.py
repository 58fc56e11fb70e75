"""The driver: clean a table of readings on the cluster that DASK_SCHEDULER_ADDRESS names, or on threads here."""

from __future__ import annotations

import os

import polars as pl
import pyarrow as pa

import lakeflow as lf

READINGS = 100_000


def clean(readings: pl.DataFrame) -> pl.DataFrame:
    """Keep what a sensor can have measured."""
    return readings.filter(pl.col("value").is_between(-40, 85))


def main() -> None:
    """Make the input where it is missing, run, and show what came out."""
    lake = lf.connect(os.environ.get("LAKEFLOW_CATALOG"))  # without a name: a catalog of its own, in ./lakehouse
    schema = pa.schema([("sensor", pa.int32()), ("value", pa.float64())])
    for name in ("demo.readings", "demo.clean"):
        if not lake.has_table(name):
            lake.create_table(name, schema, partition_by=["bucket(8, sensor)"])
    readings = lake.table("demo.readings")
    readings.append(
        {"sensor": [n % 100 for n in range(READINGS)], "value": [n % 130 - 42.5 for n in range(READINGS)]},
        run_id="readings",
    )

    run = lf.foreach(
        readings.scan().shards(by="partition"),
        clean,
        into=lake.table("demo.clean"),
        run_id=os.environ.get("RUN_ID", "clean-readings-1"),
        engine=os.environ.get("DASK_SCHEDULER_ADDRESS", "threads"),
    )

    kept = len(lake.table("demo.clean").scan().read())
    print(f"{run.ran} of {run.shards} shards ran now; {kept:,} of {READINGS:,} readings kept")


if __name__ == "__main__":
    main()
