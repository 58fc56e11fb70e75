"""A source -> a Polars LazyFrame that reads only the columns, row groups and rows its query needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lakeflow_engines.frames.convert import from_arrow, import_polars
from lakeflow_engines.frames.polars_condition import polars_condition
from lakeflow_engines.frames.source import pruned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from lakeflow_engines.frames.source import Source

__all__ = ["lazy_polars"]


def lazy_polars(source: Source) -> pl.LazyFrame:
    """A LazyFrame whose columns, predicate and row limit reach the source when it is collected.

    Raises:
        ConfigError: Polars isn't installed.
    """
    import_polars()
    from polars.io.plugins import register_io_source

    # The types that Polars will make of the batches, as Polars itself tells them.
    schema = from_arrow(source.schema.empty_table(), "polars").schema
    # Pure: a source is pinned to one snapshot, so a plan that names it twice may read it once.
    return register_io_source(partial(_frames, source), schema=schema, is_pure=True)


def _frames(
    source: Source,
    with_columns: list[str] | None,
    predicate: pl.Expr | None,
    n_rows: int | None,
    batch_size: int | None,
) -> Iterator[pl.DataFrame]:
    """What Polars calls for rows. It takes them as they come: all that it asks for is done here.

    A query that has enough drops this iterator, which stops the reading; where a thread of Polars
    drops it without the GIL, that is when Polars is next called from Python.
    """
    schema = source.schema
    wanted = with_columns or schema.names[:1] if with_columns is not None else schema.names
    needed = list(wanted)
    if predicate is not None:
        needed += [name for name in dict.fromkeys(predicate.meta.root_names()) if name not in wanted]
        source = pruned(source, polars_condition(predicate), schema)
    elif n_rows is not None:
        source = source.limit(n_rows)
    missing = n_rows
    for batch in source.select(needed).batches():
        frame: pl.DataFrame = from_arrow(batch, "polars")
        if predicate is not None:
            frame = frame.filter(predicate)
        if missing is not None:
            frame = frame.head(missing)
            missing -= frame.height
        if frame.height:
            yield from frame.select(wanted).iter_slices(batch_size or frame.height)
        if missing == 0:
            return
