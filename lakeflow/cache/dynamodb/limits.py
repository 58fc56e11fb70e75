"""What doesn't fit into DynamoDB, by key and column, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.dynamodb.names import ROW
from lakeflow.cache.pushed.codec import RowCodec, key_bytes
from lakeflow.cache.pushed.sizes import longest_bytes
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.pushed.version import PushedVersion
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["refuse_what_does_not_fit"]

# AWS, "Quotas in Amazon DynamoDB": names of attributes count, too.
_ITEM_BYTES = 400 << 10
_SORT_KEY_BYTES = 1024

_RECORD_BYTES = 1024  # what the record of an upload has beside its facts, generously
_NAMES_BYTES = len("pk") + len("sk") + len("v")
_BLOCK_ROWS = 65_536
_MEASURED_ROWS = 8  # of tens of kilobytes each, at least


def refuse_what_does_not_fit(opened: OpenVersion, version: PushedVersion, partition: str) -> None:
    """Check every row of a version against DynamoDB's limits.

    Args:
        opened: The version.
        version: What is recorded of it.
        partition: The longest partition key of its rows.

    Raises:
        UnsupportedError: an item would be longer than 400 KB, or a key than 1,023 bytes; it names the key and column.
    """
    if len(version.to_json()) > _ITEM_BYTES - _RECORD_BYTES:
        message = f"The {len(opened.schema)} columns of version {opened.id} don't fit into one item of DynamoDB."
        raise UnsupportedError(message, "publish fewer columns, or a struct of them.")
    codec = RowCodec(opened.schema, opened.key.names)
    frame = len(partition) + len(ROW) + _NAMES_BYTES
    for shard in opened.shards:
        for start in range(0, shard.rows.num_rows, _BLOCK_ROWS):
            _refuse_rows(shard.whole().rows.slice(start, _BLOCK_ROWS), opened.key, codec, frame)


def _refuse_rows(rows: pa.RecordBatch, key: KeyColumn, codec: RowCodec, frame: int) -> None:
    keys = _key_bytes(rows, key)
    for too_long in np.flatnonzero(keys > _SORT_KEY_BYTES - len(ROW)):
        raise _long_key(rows.slice(too_long, 1), key, int(keys[too_long]))
    most = keys + frame + len("[]")
    for name in rows.schema.names:
        if name not in key.names:
            most += longest_bytes(rows[name])
    doubtful = np.flatnonzero(most > _ITEM_BYTES)
    for start in range(0, len(doubtful), _MEASURED_ROWS):
        some = pa.Table.from_batches([rows.take(pa.array(doubtful[start : start + _MEASURED_ROWS]))])
        for number, (one, value) in enumerate(zip(key.values(key.keys_of(some)), codec.encode(some), strict=True)):
            size = frame + len(key_bytes(one)) + len(value.encode())
            if size > _ITEM_BYTES:
                raise _long_row(some.slice(number, 1), one, key, size)


def _key_bytes(rows: pa.RecordBatch, key: KeyColumn) -> NDArray[np.int64]:
    """Return how many bytes each key takes at most, as `key_bytes` writes it."""
    composite = len(key.names) > 1
    total = np.zeros(rows.num_rows, np.int64)
    for name in key.names:
        column = rows[name]
        if pa.types.is_integer(column.type):
            total += 8 if composite else 20  # two's complement, or digits
        else:
            lengths = pc.call_function("binary_length", [column])
            total += lengths.to_numpy(zero_copy_only=False).astype(np.int64)
        total += 4 if composite else 0  # the part's length
    return total


def _long_key(row: pa.RecordBatch, key: KeyColumn, size: int) -> UnsupportedError:
    shown = repr(key.values(key.keys_of(row))[0])
    message = f"A key of {size:,} bytes in column {key.name!r} is longer than DynamoDB's 1,023: {shown[:60]}..."
    return UnsupportedError(message, "use shorter keys, such as a hash of the long ones.")


def _long_row(row: pa.Table, one: Key, key: KeyColumn, size: int) -> UnsupportedError:
    values = [name for name in row.column_names if name not in key.names]
    sizes = {name: int(longest_bytes(row[name].combine_chunks())[0]) for name in values}
    longest = max(sizes, key=lambda name: sizes[name])
    message = f"The row of key {repr(one)[:60]} takes {size:,} bytes, and DynamoDB takes {_ITEM_BYTES:,} for an item; "
    message += f"column {longest!r} is its longest."
    return UnsupportedError(message, "shorten the column, or keep it elsewhere and push where it is.")
