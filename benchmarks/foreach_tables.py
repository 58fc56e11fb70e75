"""A table of files of one row, which are shards without work; and a lake for what is written of them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.home import home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow import Lake

__all__ = ["TINY", "spare_lake", "tiny_lake"]

TINY = "bench.tiny"


def tiny_lake(files: int) -> Lake:
    """A lake whose table `TINY` has as many files, made where it is missing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = home() / "foreach" / str(files)
    (folder / "files").mkdir(parents=True, exist_ok=True)
    lake = _lake(folder)
    if not lake.has_table(TINY):
        for number in range(files):
            pq.write_table(pa.table({"n": [number]}), folder / "files" / f"{number:06d}.parquet")
        lake.adopt(folder / "files", TINY)
    return lake


@contextmanager
def spare_lake() -> Iterator[Lake]:
    """A lake on the same disk that is gone afterwards: 20,000 tasks write as many files."""
    home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home(), prefix="foreach-") as folder:
        yield _lake(Path(folder))


def _lake(folder: Path) -> Lake:
    import lakeflow as lf

    return lf.connect(type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
