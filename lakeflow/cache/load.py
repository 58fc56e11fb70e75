"""Builds a version from Arrow data in this process: segments as a run's, but in the version's own folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.cache.build import build
from lakeflow.cache.columns import stored
from lakeflow.cache.local import LocalSegments
from lakeflow.cache.publish import find_run, publish
from lakeflow.cache.segment import SEGMENT_BYTES, CacheWriter, segment_name
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lakeflow.cache.checks import Check
    from lakeflow.cache.keys import KeyNames
    from lakeflow.cache.manifest import Manifest, Origin
    from lakeflow.cache.retention import Retention
    from lakeflow.cache.shelf import Shelf

__all__ = ["load", "write_segments"]


def load(
    shelf: Shelf, data: Any, key: KeyNames, origin: Origin, retention: Retention, checks: Sequence[Check]
) -> Manifest:
    """Stream `data` into segments, merge them and publish; see `Cache.load`."""
    earlier = find_run(shelf, origin)
    if earlier:
        return earlier
    with shelf.claimed() as folder:
        scratch = folder / "segments"  # in the claimed folder, so that a killed load is swept up with it
        built = build(folder, write_segments(scratch, data, key), key)
        shutil.rmtree(scratch, ignore_errors=True)
        return publish(shelf, folder, built, origin, retention, checks)


def write_segments(scratch: Path, data: Any, key: KeyNames) -> list[Path]:
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
    writer = CacheWriter(LocalSegments(scratch), key)
    facts = [fact for table in _gathered(data, key) for fact in writer.write("load", table)]
    return [scratch / segment_name(fact) for fact in facts]


def _gathered(data: Any, key: KeyNames) -> Iterator[pa.Table]:
    """Gather batches of one schema into tables of about a segment each."""
    waiting: list[pa.Table] = []
    size = 0
    for arrived in _tables(data):
        table = stored(arrived, key)
        if waiting and (size >= SEGMENT_BYTES or table.schema != waiting[0].schema):
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
        waiting.append(table)
        size += table.nbytes
    if waiting:
        yield pa.concat_tables(waiting)


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
