"""Polars: `scan_iceberg` as it comes, which hands what it can't read to pyiceberg."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from readers.rows import arrow_rows

if TYPE_CHECKING:
    from readers.outcome import Read
    from readers.rows import Rows


def rows(metadata: str, read: Read) -> Rows:
    """The collected frame's rows."""
    import polars as pl

    frame = pl.scan_iceberg(metadata, snapshot_id=read.snapshot)
    if read.where is not None:
        frame = frame.filter(pl.sql_expr(dated(read.where)))
    return arrow_rows(frame.collect().to_arrow())


def dated(where: str) -> str:
    """Texts that are dates and points in time, as what they are: Polars compares neither with texts."""
    where = re.sub(r"('\d{4}-\d\d-\d\d')", r"cast(\1 as date)", where)
    where = re.sub(r"('\d{4}-\d\d-\d\dT[^']*)\+00:00'", r"cast(\1' as timestamptz)", where)
    return re.sub(r"(?<!cast\()('\d{4}-\d\d-\d\dT[^']*')", r"cast(\1 as timestamp)", where)
