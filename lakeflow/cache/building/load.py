"""Builds a version from Arrow data in this process.

What is in memory is written once, into shards; a stream becomes segments as a run's, but in the version's own folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.building.build import BUILDERS, build, build_table
from lakeflow.cache.building.segment import SEGMENT_BYTES, CacheWriter, Segment
from lakeflow.cache.building.unsorted import MOST_BYTES, Unsorted
from lakeflow.cache.files.columns import stored
from lakeflow.cache.local import LocalSegments
from lakeflow.cache.publishing.publish import find_run, publish
from lakeflow.dataframe import DataFrame
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lakeflow.cache.building.build import Built
    from lakeflow.cache.files.layout import Layout
    from lakeflow.cache.files.manifest import Manifest, Origin
    from lakeflow.cache.keys.column import KeyNames
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.cache.publishing.retention import Retention
    from lakeflow.cache.shelf import Shelf

__all__ = ["load", "write_segments"]

_HELD = (pa.Table, pa.RecordBatch, DataFrame)  # in memory, or mapped, whether they are loaded or not


def load(
    shelf: Shelf,
    data: Any,
    key: KeyNames,
    origin: Origin,
    retention: Retention,
    checks: Sequence[Check],
    layout: Layout = "columns",
) -> Manifest:
    """Build a version of `data` and publish it; see `Cache.load`."""
    earlier = find_run(shelf, origin)
    if earlier:
        return earlier
    with shelf.claimed() as folder:
        built = _built(folder, data, key, layout)
        return publish(shelf, folder, built, origin, retention, checks)


def write_segments(scratch: Path, data: Any, key: KeyNames) -> list[Segment]:
    """Stream `data` into segments.

    Args:
        scratch: The folder in which they go.
        data: As `Cache.load` takes it.
        key: The key column or columns.

    Raises:
        InputError: `data` isn't Arrow data.
        SchemaError: the key column or another column can't be used.
        StoreError: a file can't be written.
    """
    return _segments(scratch, (table for table, _ in _gathered(data, key, SEGMENT_BYTES)), key)


def _segments(scratch: Path, tables: Iterable[pa.Table], key: KeyNames) -> list[Segment]:
    segments = LocalSegments(scratch)
    writer = CacheWriter(segments, key, threads=BUILDERS)
    return [Segment.of(segments, fact, scratch) for table in tables for fact in writer.write("load", table)]


def _built(folder: Path, data: Any, key: KeyNames, layout: Layout) -> Built:
    """Write shards straight from memory where all rows are there, or come before they are worth a segment."""
    arriving = _gathered(data, key, MOST_BYTES if _is_held(data) else SEGMENT_BYTES)
    first, is_all = next(arriving, (None, False))
    if first is not None and is_all and Unsorted.fits(first):
        return build_table(folder, first, key, layout)
    tables = chain([] if first is None else [first], (table for table, _ in arriving))
    del first  # a segment's memory
    scratch = folder / "segments"  # in the claimed folder, so that a killed load is swept up with it
    built = build(folder, _segments(scratch, tables, key), key, layout)
    shutil.rmtree(scratch, ignore_errors=True)
    return built


def _is_held(data: Any) -> bool:
    parts = data if isinstance(data, (list, tuple)) else [data]
    return all(isinstance(part, _HELD) for part in parts)


def _gathered(data: Any, key: KeyNames, most_bytes: int) -> Iterator[tuple[pa.Table, bool]]:
    """Gather batches of one schema into tables of about so many bytes each; tell of each whether it is the last."""
    waiting: list[pa.Table] = []
    size = 0
    for arrived in _tables(data):
        table = stored(arrived, key)
        if waiting and (size >= most_bytes or table.schema != waiting[0].schema):
            yield pa.concat_tables(waiting), False
            waiting, size = [], 0
        waiting.append(table)
        size += table.nbytes
    if waiting:
        yield pa.concat_tables(waiting), True


def _tables(data: Any) -> Iterator[pa.Table]:
    """Yield the batches of `data` as they arrive; first an empty one where it has a schema of its own."""
    if hasattr(data, "__arrow_c_stream__"):
        yield from _tables_of_stream(data)
        return
    if not isinstance(data, Iterable) or isinstance(data, (str, bytes, dict)):
        raise _not_arrow(data)
    for item in data:
        if not (hasattr(item, "__arrow_c_array__") or hasattr(item, "__arrow_c_stream__")):
            raise _not_arrow(item)
        try:
            yield pa.table(item)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise _not_arrow(item) from error


def _tables_of_stream(data: Any) -> Iterator[pa.Table]:
    try:
        with pa.RecordBatchReader.from_stream(data) as reader:
            yield pa.Table.from_batches([], schema=reader.schema)
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except pa.ArrowException as error:
        message = f"The {type(data).__name__} to load ended with an error: {error}"
        raise InputError(message, "give columns of data, such as a table or a reader.") from error


def _not_arrow(data: object) -> InputError:
    message = f"A cache is loaded from Arrow data; this is {type(data).__name__}."
    return InputError(message, "give a table, a data frame, a stream, or an iterable of record batches.")
