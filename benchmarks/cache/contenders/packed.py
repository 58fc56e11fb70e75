"""Rows as stores of bytes get them: ten numbers with msgpack."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np
import pyarrow as pa

from benchmarks.cache.rows import COLUMNS, pieces, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["pairs", "row", "sorted_pairs", "table"]

_PIECE_ROWS = 100_000  # as Python values at once
_pack = partial(msgpack.Packer(use_single_float=True).pack)
_unpack = msgpack.unpackb


def pairs(rows: pa.Table) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, in the order of the rows."""
    for piece in pieces(rows, _PIECE_ROWS):
        keys = piece["key"].cast(pa.binary()).to_pylist()
        yield from zip(keys, map(_pack, values_of(piece)), strict=True)


def sorted_pairs(rows: pa.Table) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, by key."""
    return pairs(rows.sort_by("key"))


def row(value: bytes | None) -> dict[str, Any] | None:
    """One row, of what was stored."""
    return None if value is None else dict(zip(COLUMNS, _unpack(value), strict=True))


def table(values: Sequence[bytes | None]) -> pa.Table:
    """Many rows as Arrow, with nulls where there was none."""
    missing = (None,) * len(COLUMNS)
    found = [missing if value is None else _unpack(value) for value in values]
    if None in values:
        columns = [pa.array(column, pa.float32()) for column in zip(*found, strict=True)]
    else:
        columns = [pa.array(column) for column in np.array(found, dtype=np.float32).T.copy()]
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))
