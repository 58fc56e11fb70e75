"""Writes the rows file of a shard: its rows once more, each as one run of bytes, in buckets by the hash of their key.

It is an Arrow IPC file of two columns, `bucket` (large_binary, as `packing` makes them) and `crc32` (uint32), and a
row for each bucket, also for one without rows, which has no bytes. Its record batches have `BATCH_BUCKETS` each, but
for the last one. The metadata of its schema says into how many buckets all hashes are cut, `buckets`; the shard has
those from the bucket of its first hash to that of its last. A bucket's CRC-32 begins with that number instead of 0
(as if bytes came before it that have the number for theirs): so a sum that fits says of an empty bucket, too, that
it is the one that was looked for.

What is in it follows from the payload, byte by byte, so that `repair()` can write it again.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow.cache.files.index import read_payload
from lakeflow.cache.keys.hashing import hash_keys
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.rows.lists import cut
from lakeflow.cache.rows.packing import bucket_of, first_hash, packed, row_bytes
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lakeflow.cache.files.manifest import ShardFacts
    from lakeflow.cache.keys.column import KeyColumn

__all__ = ["BATCH_BUCKETS", "BUCKETS", "MOST_BUCKETS", "SCHEMA", "rebuilt_rows", "write_rows"]

BATCH_BUCKETS = 1 << 14
"""About 32 MiB: so much is in memory at once when a file is written, unless rows are longer than buckets."""
BUCKETS = b"buckets"
"""In the schema's metadata."""
MOST_BUCKETS = (1 << 32) - 1
"""`bucket_of` tells no more apart."""
SCHEMA = pa.schema(
    [pa.field("bucket", pa.large_binary(), nullable=False), pa.field("crc32", pa.uint32(), nullable=False)]
)

# These decide what a file has, so `repair()` of files that are there needs them to stay.
_BUCKET_BYTES = 2 << 10  # half a page: it lies on one page or on two, which one read brings; offsets are 0.4 % of it
_SAMPLE_ROWS = 1024  # in the order of hashes any rows are as good as others
_HEAD_BYTES = 12  # in a bucket, for each row

_STEP_ROWS = 16_384  # packed at once: what they take stays in the L2 cache
_MOST_BYTES = (1 << 32) - 1  # the end of a row in its bucket has four bytes


def write_rows(target: Any, rows: pa.RecordBatch, hashes: NDArray[np.uint64], fields: Fields) -> None:
    """Write the rows file of a shard.

    Args:
        target: A binary file, or an Arrow output stream.
        rows: Of the shard, sorted by hash; at least one.
        hashes: Of their keys.
        fields: How a row lies in bytes.

    Raises:
        UnsupportedError: rows that belong together have 4 GiB.
    """
    buckets = _buckets_for(rows, hashes, fields)
    first, last = (bucket_of(int(hashes[end]), buckets) for end in (0, -1))
    schema = SCHEMA.with_metadata({BUCKETS: str(buckets)})
    with pa.ipc.new_file(target, schema) as writer:
        for start in range(first, last + 1, BATCH_BUCKETS):
            end = min(start + BATCH_BUCKETS, last + 1)
            sizes, data = _batch(rows, hashes, fields, buckets, (start, end))
            offsets = np.concatenate([[0], np.cumsum(sizes)])
            whole = memoryview(data)
            sums = [zlib.crc32(whole[a:b], buckets) for a, b in pairwise(offsets.tolist())]
            columns = [cut(pa.py_buffer(data), offsets), pa.array(sums, pa.uint32())]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def rebuilt_rows(folder: Path, facts: ShardFacts, key: KeyColumn) -> bytes:
    """Compute a rows file from its payload, which was compared with its checksum before.

    Raises:
        CorruptFileError, ObjectNotFoundError: the payload can't be read.
    """
    _, rows = read_payload(folder, facts.payload)
    draft = BytesIO()
    write_rows(draft, rows, hash_keys(key.keys_of(rows)), Fields(rows.schema))
    return draft.getvalue()


def _batch(
    rows: pa.RecordBatch, hashes: NDArray[np.uint64], fields: Fields, buckets: int, within: tuple[int, int]
) -> tuple[NDArray[np.int64], bytes]:
    """Return how long each bucket of a range is, and all of their bytes."""
    start, end = within
    sizes, parts = np.zeros(end - start, np.int64), []
    for low, high in _steps(hashes, buckets, within):
        step = packed(rows.slice(low, high - low), hashes[low:high], fields, buckets)
        offsets = np.frombuffer(step.values.buffers()[1], np.int64, len(step.values) + 1, step.values.offset * 8)
        sizes[step.numbers - start] = np.diff(offsets)
        parts.append(step.values.buffers()[2].slice(offsets[0], offsets[-1] - offsets[0]))
    if sizes.max() > _MOST_BYTES:
        message = f"Rows whose keys have nearly the same hash have {sizes.max():,} bytes together."
        raise UnsupportedError(message, "give values of less than 4 GiB, or use layout='columns'.")
    return sizes, b"".join(parts)


def _steps(hashes: NDArray[np.uint64], buckets: int, within: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Cut the rows of a range of buckets between buckets, about `_STEP_ROWS` at a time."""
    start, end = within
    edges = [first_hash(bucket, buckets) for bucket in range(start, end + 1)]
    beyond = edges[-1] >> 64
    bounds = np.searchsorted(hashes, np.array(edges[:-1] if beyond else edges, np.uint64))
    ends = np.append(bounds, len(hashes)) if beyond else bounds
    low = int(ends[0])
    while low < ends[-1]:
        place = int(np.searchsorted(ends, low + _STEP_ROWS, side="right")) - 1
        high = int(ends[place]) if ends[place] > low else int(ends[np.searchsorted(ends, low, side="right")])
        yield low, high
        low = high


def _buckets_for(rows: pa.RecordBatch, hashes: NDArray[np.uint64], fields: Fields) -> int:
    """Return into how many buckets all hashes are cut, so that those of these rows are about as large as wished."""
    sample = row_bytes(rows.slice(0, _SAMPLE_ROWS), fields)
    size = len(sample.buffers()[2]) + _HEAD_BYTES * len(sample)
    wished = min(max(len(hashes) * size // (len(sample) * _BUCKET_BYTES), 1), len(hashes))
    span = (int(hashes[-1]) >> 32) - (int(hashes[0]) >> 32) + 1
    return min(max((wished << 32) // span, 1), MOST_BUCKETS)
