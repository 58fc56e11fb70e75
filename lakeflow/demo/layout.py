"""The demo's tables: their columns, partitions and order, and whether they are the demo's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.errors import AlreadyExistsError

if TYPE_CHECKING:
    from lakeflow.lake import Lake
    from lakeflow.table import Table

__all__ = ["BUCKETS", "LAYOUTS", "drop_tables", "open_table"]

NAMESPACE = "kg"
# Shards of aliases and of pairs: eight a core on two cores evens out, and an alias is in one of them.
BUCKETS = 16
_MARK = "lakeflow.demo"


@dataclass(frozen=True, slots=True)
class Layout:
    """How one table is made."""

    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()


LAYOUTS = {
    "places": Layout(
        pa.schema(
            [
                pa.field("place_id", pa.int32(), nullable=False),
                ("name", pa.string()),
                ("country", pa.string()),
                ("admin1", pa.string()),
                ("population", pa.int64()),
                ("latitude", pa.float64()),
                ("longitude", pa.float64()),
            ]
        ),
        sort_by=("place_id",),
    ),
    "names": Layout(
        pa.schema([pa.field("name_id", pa.int32(), nullable=False), ("place_id", pa.int32()), ("name", pa.string())]),
        sort_by=("name_id",),
    ),
    "aliases": Layout(
        pa.schema(
            [
                pa.field("alias_id", pa.int32(), nullable=False),
                ("alias", pa.string()),
                ("country", pa.string()),
                ("admin1", pa.string()),
            ]
        ),
        partition_by=(f"bucket({BUCKETS}, alias_id)",),
        sort_by=("alias_id",),
    ),
    "truth": Layout(
        pa.schema([pa.field("alias_id", pa.int32(), nullable=False), ("place_id", pa.int32())]), sort_by=("alias_id",)
    ),
    "pairs": Layout(
        pa.schema([pa.field(name, pa.int32(), nullable=False) for name in ("alias_id", "name_id", "shared", "weight")]),
        partition_by=(f"bucket({BUCKETS}, alias_id)",),
        sort_by=("alias_id", "name_id"),
    ),
    # By the alias's text: what the cache is keyed by, so that equal aliases meet in one shard.
    "matches": Layout(
        pa.schema(
            [
                pa.field("alias_id", pa.int32(), nullable=False),
                ("alias", pa.string()),
                ("place_id", pa.int32()),
                ("score", pa.float32()),
            ]
        ),
        partition_by=("bucket(4, alias)",),
        sort_by=("alias",),
    ),
}


def open_table(lake: Lake, name: str, content: str) -> Table:
    """Open one of the demo's tables, made where it is missing.

    Args:
        lake: Where.
        name: One of `LAYOUTS`.
        content: What it is about: tables about something else are not touched.

    Raises:
        AlreadyExistsError: there is a table of that name which is somebody else's.
    """
    full, layout = f"{NAMESPACE}.{name}", LAYOUTS[name]
    if lake.has_table(full):
        return _own(lake.table(full), content)
    try:
        return lake.create_table(
            full,
            layout.schema,
            partition_by=layout.partition_by,
            sort_by=layout.sort_by,
            properties={_MARK: content},
        )
    except AlreadyExistsError:  # another demo in the same place was a moment faster
        return _own(lake.table(full), content)


def drop_tables(lake: Lake) -> list[str]:
    """Drop the demo's tables with their files; returns their names.

    Raises:
        AlreadyExistsError: one of them is somebody else's; none is dropped.
    """
    there = [name for name in LAYOUTS if lake.has_table(f"{NAMESPACE}.{name}")]
    for name in there:
        _own(lake.table(f"{NAMESPACE}.{name}"), None)
    for name in there:
        lake.drop_table(f"{NAMESPACE}.{name}", purge=True)
    return there


def _own(table: Table, content: str | None) -> Table:
    found = table.iceberg.properties.get(_MARK)
    if found is None:
        raise AlreadyExistsError(
            f"{table.name} is there already and is not the demo's.", "set LAKEFLOW_HOME to an empty folder."
        )
    if content not in (None, found):
        raise AlreadyExistsError(
            f"{table.name} is of a demo about {found}, not {content}.", "start over with `lakeflow demo --fresh`."
        )
    return table
