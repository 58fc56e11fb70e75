"""Daft: `read_iceberg` on the native runner."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from readers.rows import arrow_rows

if TYPE_CHECKING:
    from readers.outcome import Read
    from readers.rows import Rows


def rows(metadata: str, read: Read) -> Rows:
    """The frame's rows."""
    os.environ |= {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "true", "DAFT_PROGRESS_BAR": "0"}
    import daft
    from pyiceberg.table import StaticTable

    frame = daft.read_iceberg(StaticTable.from_metadata(metadata), snapshot_id=read.snapshot)
    if read.where is not None:
        frame = frame.where(_spoken(read.where))
    return arrow_rows(frame.to_arrow())


def _spoken(where: str) -> str:
    """A condition in its words: fields of structs, dates and points in time are none in it."""
    where = re.sub(r"\b([a-z]+)\.([a-z]+)\.([a-z]+)\b", r"struct_get(struct_get(\1, '\2'), '\3')", where)
    where = re.sub(r"\b([a-z]+)\.([a-z]+)\b", r"struct_get(\1, '\2')", where)
    where = re.sub(r"('\d{4}-\d\d-\d\d')", r"cast(\1 as date)", where)
    where = re.sub(r"('\d{4}-\d\d-\d\dT[^']*\+00:00')", r"to_datetime(\1, '%Y-%m-%dT%H:%M:%S%.f%z')", where)
    return re.sub(r"(?<!datetime\()('\d{4}-\d\d-\d\dT[^']*')", r"cast(\1 as timestamp)", where)
