"""One planner in this process, measured: cold, then warm.

    python -m benchmarks.planner NAME < {"files": 50000, "where": null} as JSON

Imports and the opening of the catalog are not timed, and each plans a table of few files before: libraries
import much of themselves when they are first used.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contender import resident_mb
from benchmarks.plan_tables import CATALOG, TABLE, catalog_properties, plan_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

__all__ = ["FILTERS", "PLANNERS", "main", "measure"]

DAY, IDS = ("2020-03-01T00:00:00", "2020-03-02T00:00:00"), (30_000, 90_000)
FILTERS = {
    "day": f"ts >= '{DAY[0]}' and ts < '{DAY[1]}'",
    "bounds": f"id between {IDS[0]} and {IDS[1]}",
}
"""A day of a year, by partitions; ids, by column bounds alone."""
_FEW = 100
_WARM_RUNS = 3
_SOURCES = re.compile(r"(\d+) other sources")


def main(name: str) -> None:
    """Print the figures as JSON."""
    print(json.dumps(measure(name, json.load(sys.stdin))))


def measure(name: str, task: dict[str, Any]) -> dict[str, Any]:
    """Plan, once cold and then warm."""
    make, package, how = PLANNERS[name]
    make(_FEW, task["where"])()
    plan = make(task["files"], task["where"])
    base = resident_mb("VmRSS")
    cold_s, cpu_s, found = _timed(plan)
    peak = resident_mb("VmHWM")
    warm = [_timed(plan) for _ in range(_WARM_RUNS)]
    count, each_s = _count(found)
    figures = {
        "cold_s": cold_s,
        "cold_cpu_s": cpu_s,
        "warm_s": min(run[0] for run in warm),
        "peak_bytes_per_file": round((peak - base) * 1e6 / task["files"]),
        "found": count,
        "each_s": each_s,
    }
    return {"version": version(package), "settings": how, **figures}


def _timed(plan: Callable[[], Any]) -> tuple[float, float, Any]:
    cpu, started = time.process_time(), time.perf_counter()
    found = plan()
    return time.perf_counter() - started, time.process_time() - cpu, found


def _count(found: Any) -> tuple[int, float]:
    """How many files were found, and the seconds that it takes to look at each."""
    started = time.perf_counter()
    if isinstance(found, str):  # Polars' plan in words
        others = _SOURCES.search(found)
        return (int(others[1]) + 1 if others else found.count(".parquet")), 0.0
    if isinstance(found, int):
        return found, 0.0
    return sum(1 for _ in found), time.perf_counter() - started


def _opened(files: int) -> Table:
    from pyiceberg.catalog import load_catalog

    return load_catalog(CATALOG, **catalog_properties(plan_table(files))).load_table(TABLE)


def _lakeflow(files: int, where: str | None) -> Callable[[], Any]:
    import lakeflow as lf

    table = lf.connect(**catalog_properties(plan_table(files))).table(TABLE)
    condition = FILTERS[where] if where else None
    return lambda: table.scan(where=condition).pieces


def _pyiceberg(files: int, where: str | None) -> Callable[[], Any]:
    table = _opened(files)
    condition = FILTERS[where] if where else None
    return lambda: list((table.scan(row_filter=condition) if condition else table.scan()).plan_files())


def _polars(files: int, where: str | None) -> Callable[[], Any]:
    import polars as pl

    os.environ["POLARS_ICEBERG_PLANNER"] = "plugin"
    table = _opened(files)

    def plan() -> str:
        scan = pl.scan_iceberg(table, reader_override="native")
        if where == "day":
            first, last = (pl.lit(each).str.to_datetime() for each in DAY)
            scan = scan.filter((pl.col("ts") >= first) & (pl.col("ts") < last))
        elif where == "bounds":
            scan = scan.filter(pl.col("id").is_between(*IDS))
        return scan.explain()

    return plan


def _duckdb(files: int, where: str | None) -> Callable[[], Any]:
    import duckdb

    if where is not None:
        raise NotImplementedError("it has no plan to look at; iceberg_metadata takes no filter")
    database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg"):
        spec = find_spec(f"duckdb_extension_{name}")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named 'duckdb_extension_{name}'")
        extension = next(Path(spec.origin).parent.glob(f"extensions/*/{name}.duckdb_extension"))
        database.execute(f"LOAD '{extension}'")
    metadata = _opened(files).metadata_location
    query = f"SELECT count(file_path) FROM iceberg_metadata('{metadata}')"  # noqa: S608  (ours)
    return lambda: int(database.execute(query).fetchall()[0][0])


PLANNERS: dict[str, tuple[Callable[[int, str | None], Callable[[], Any]], str, str]] = {
    "lakeflow": (_lakeflow, "lakeflow", "as it comes"),
    "pyiceberg": (_pyiceberg, "pyiceberg", "plan_files, listed"),
    "polars": (_polars, "polars", "scan_iceberg with the planner in polars_iceberg; explain() plans"),
    "duckdb": (_duckdb, "duckdb", "count of iceberg_metadata, which reads all entries; without a filter"),
}
"""How each plans: what makes the function that is timed, the distribution, and one line on it."""


if __name__ == "__main__":
    main(sys.argv[1])
