"""The data sets: Parquet files, made once into a folder that is kept.

All have field ids and were made from fixed seeds, so that two machines read the same bytes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.home import home

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.workloads import Scale

__all__ = ["dataset"]

_VERSION = 1
"""Part of the folder's name: a change of what is made here makes it again."""
_WORDS = 5000


def dataset(name: str, scale: Scale) -> Path:
    """The folder with a data set's files; made if it isn't there.

    It lies in `home()`.
    """
    parent = home() / f"{scale.name}-{_VERSION}"
    folder = parent / name
    if not folder.exists():
        parent.mkdir(parents=True, exist_ok=True)
        print(f"making {name} ({scale.name}) in {parent}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=parent) as made:
            _MAKERS[name](Path(made) / name, scale)
            # Renamed when it is whole; a folder that another process made meanwhile is as good.
            if not folder.exists():
                shutil.move(Path(made) / name, folder)
    return folder


def _lineitem(folder: Path, scale: Scale) -> None:
    program = Path(sys.executable).with_name("tpchgen-cli")
    arguments = ["-s", str(scale.lineitem_sf), "--tables", folder.name, "--parts", str(scale.lineitem_files)]
    subprocess.run([program, "parquet", *arguments, "-o", folder.parent], check=True, stdout=subprocess.DEVNULL)


def _small_files(folder: Path, scale: Scale) -> None:
    def rows(start: int, count: int, random: np.random.Generator) -> pa.Table:
        return pa.table(
            {
                "id": np.arange(start, start + count),
                "kind": random.integers(0, 20, count).astype(np.int32),
                "amount": random.normal(100, 15, count),
                "ratio": random.random(count).astype(np.float32),
                "word": _words(count, random),
                "at": pa.array(np.arange(start, start + count) * 1_000_000, pa.timestamp("us")),
            }
        )

    _write(folder, scale.small_files, scale.small_rows, rows)


def _wide(folder: Path, scale: Scale) -> None:
    def rows(start: int, count: int, random: np.random.Generator) -> pa.Table:
        columns: dict[str, object] = {"id": np.arange(start, start + count)}
        for number in range(1, 10):
            columns[f"double_{number}"] = random.normal(100, 15, count)
        for number in range(1, 6):
            columns[f"long_{number}"] = random.integers(0, 1 << 60, count)
        for number in range(1, 6):
            columns[f"word_{number}"] = _words(count, random)
        return pa.table(columns)

    _write(folder, scale.wide_files, scale.wide_rows, rows)


def _warm(folder: Path, _scale: Scale) -> None:
    _write(folder, 1, 1, lambda start, count, _random: pa.table({"id": np.arange(start, start + count)}))


_MAKERS: dict[str, Callable[[Path, Scale], None]] = {
    "lineitem": _lineitem,
    "small-files": _small_files,
    "wide": _wide,
    "warm": _warm,
}


def _words(count: int, random: np.random.Generator) -> pa.Array:
    words = pa.array([f"word-{number:05d}" for number in range(_WORDS)])
    return words.take(pa.array(random.integers(0, _WORDS, count)))


def _write(folder: Path, files: int, count: int, rows: Callable[[int, int, np.random.Generator], pa.Table]) -> None:
    folder.mkdir()
    for number in range(files):
        table = rows(number * count, count, np.random.default_rng(number))
        fields = [
            pa.field(field.name, field.type, nullable=False, metadata={"PARQUET:field_id": str(place)})
            for place, field in enumerate(table.schema, 1)
        ]
        pq.write_table(table.cast(pa.schema(fields)), folder / f"{number:04d}.parquet", compression="zstd")
