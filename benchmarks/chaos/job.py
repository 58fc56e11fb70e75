"""What is run: rows whose right value can be told from their id alone."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa

__all__ = ["SCHEMA", "expected", "source_rows", "split_work", "work"]

SCHEMA = pa.schema([("id", pa.int64()), ("value", pa.int64())])
_FACTOR = np.int64(2654435761)  # Knuth's multiplicative hash
_SECONDS = 0.02


def expected(ids: np.ndarray) -> np.ndarray:
    """The right value of each id; shapes `(n,)`, int64."""
    return ids * _FACTOR % np.int64(1_000_003)


def source_rows(first: int, rows: int) -> pa.Table:
    """Rows of the input: ids and some bytes to read."""
    ids = np.arange(first, first + rows, dtype=np.int64)
    return pa.table({"id": ids, "noise": np.random.default_rng(first).random(rows)})


def work(rows: pa.Table) -> pa.Table:
    """The job of one output."""
    time.sleep(_SECONDS)
    ids = rows["id"].to_numpy()
    return pa.table({"id": ids, "value": expected(ids)})


def split_work(rows: pa.Table) -> dict[str, pa.Table]:
    """The job of two outputs: even ids here, odd ones there."""
    made = work(rows)
    even = pa.array(made["id"].to_numpy() % 2 == 0)
    return {"even": made.filter(even), "odd": made.filter(pa.array(~even.to_numpy(zero_copy_only=False)))}
