"""A table of files of one row: shards without work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.home import home

if TYPE_CHECKING:
    from lakeflow import Lake

__all__ = ["OUT", "TINY", "tiny_lake"]

TINY = "bench.tiny"
OUT = "out"
"""The namespace of what is written."""


def tiny_lake(files: int) -> Lake:
    """A lake whose table `TINY` has as many files, made where it is missing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import lakeflow as lf

    folder = home() / "foreach" / str(files)
    (folder / "files").mkdir(parents=True, exist_ok=True)
    lake = lf.connect(type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    if not lake.has_table(TINY):
        for number in range(files):
            pq.write_table(pa.table({"n": [number]}), folder / "files" / f"{number:06d}.parquet")
        lake.adopt(folder / "files", TINY)
    return lake
