"""The index of a shard: what can be computed from its payload, for look-ups that touch little, and find damage there.

A numpy file of the hashes, one for each row; behind them the CRC-32 of each 4 KiB of the payload, and of each 4 KiB of
the hashes, as little-endian 32-bit numbers.
"""

from __future__ import annotations

import zlib
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow.cache.files.durable import new_file, read_through
from lakeflow.cache.files.failures import reading
from lakeflow.cache.files.manifest import FileFacts
from lakeflow.cache.files.mapping import expect_any, mapped
from lakeflow.cache.keys.hashing import hash_keys
from lakeflow_io.errors import CorruptFileError
from lakeflow_io.keyed.blocks import BLOCK_BYTES, Blocks, block_sums

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from lakeflow.cache.files.manifest import ShardFacts
    from lakeflow.cache.keys.column import KeyColumn

__all__ = [
    "HASH_BYTES",
    "check_size",
    "differs",
    "mapped_file",
    "open_index",
    "read_payload",
    "rebuilt_index",
    "summed",
    "write_index",
]

HASH_BYTES = 8
_SUM_BYTES = 4
_REPAIR = "call repair(), which computes it again."


def write_index(path: Path, hashes: NDArray[np.uint64], sums: NDArray[np.uint32]) -> None:
    """Write an index.

    Args:
        path: Where.
        hashes: Of the payload's rows, sorted.
        sums: Of the payload's blocks.

    Raises:
        StoreError: as `failures.writing` says.
    """
    with new_file(path) as file:
        _write(file, hashes, sums)


def open_index(
    folder: Path, facts: ShardFacts, hint: str | None = None
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], Blocks]:
    """Map an index; return the hashes, the checksums of the payload's blocks, and the blocks of the hashes.

    Raises:
        ObjectNotFoundError: the file is gone.
        CorruptFileError: it has another size than the manifest says.
    """
    path = f"{folder}/{facts.index.name}"
    content = mapped_file(folder, facts.index)
    size = facts.rows * HASH_BYTES
    of_payload, own = _block_count(facts.payload.bytes), _block_count(size)
    start = content.size - size - (of_payload + own) * _SUM_BYTES
    if start < 0 or start % HASH_BYTES:
        message = f"{path} has {content.size} bytes, which don't fit {facts.rows} rows in {facts.payload.bytes} bytes."
        raise CorruptFileError(message, _REPAIR)
    hashes = np.frombuffer(content, np.uint64, facts.rows, start)
    sums = np.frombuffer(content, np.uint32, of_payload + own, start + size)
    blocks = Blocks(content.slice(start, size), sums[of_payload:], partial(differs, path, start, hint or _REPAIR))
    return hashes, sums[:of_payload], blocks


def rebuilt_index(folder: Path, facts: ShardFacts, key: KeyColumn) -> bytes:
    """Compute an index from its payload, which was compared with its checksum before.

    Raises:
        CorruptFileError, ObjectNotFoundError: the payload can't be read.
    """
    payload, rows = read_payload(folder, facts.payload)
    draft = BytesIO()
    _write(draft, hash_keys(key.keys_of(rows)), block_sums(payload))
    return draft.getvalue()


def read_payload(folder: Path, facts: FileFacts) -> tuple[pa.Buffer, pa.RecordBatch]:
    """Map a payload to read all of it; return its bytes and its rows, of which nothing is compared.

    Raises:
        CorruptFileError, ObjectNotFoundError: it can't be read.
    """
    payload = mapped_file(folder, facts)
    expect_any(payload.address, payload.size)
    with reading(folder / facts.name):
        return payload, pa.ipc.open_file(payload).get_batch(0)


def summed(path: Path) -> tuple[FileFacts, NDArray[np.uint32]]:
    """Describe a finished file; return the checksums of its blocks, too.

    Raises:
        StoreError: it can't be read.
    """
    size, crc, sums = 0, 0, [np.empty(0, dtype=np.uint32)]
    for chunk in read_through(path):
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        sums.append(block_sums(chunk))
    return FileFacts(path.name, size, crc), np.concatenate(sums)


def mapped_file(folder: Path, facts: FileFacts) -> pa.Buffer:
    """Map a file that is as long as the manifest says, for now without read-ahead: see `mapping`.

    Raises:
        ObjectNotFoundError: the file is gone.
        CorruptFileError: it has another size.
    """
    path = f"{folder}/{facts.name}"  # a request may wait for this: a tenth of the time of a Path
    with reading(path, _remedy(path)):
        content = mapped(path)
    _need_size(path, content.size, facts)
    return content


def check_size(path: Path, facts: FileFacts) -> None:
    """Compare a file's size with the manifest's.

    Raises:
        ObjectNotFoundError: the file is gone.
        CorruptFileError: it has another size.
    """
    with reading(path, _remedy(path)):
        size = path.stat().st_size
    _need_size(path, size, facts)


def _need_size(path: Path | str, size: int, facts: FileFacts) -> None:
    if size != facts.bytes:
        message = f"{path} has {size} bytes; the manifest says {facts.bytes}."
        raise CorruptFileError(message, _remedy(path))


def _remedy(path: Path | str) -> str:
    """Say what to do where a file is gone or cut short: all but the payload is computed from that."""
    computed = str(path).endswith((".idx", ".rows"))
    return "call repair(), which computes it again." if computed else "roll back to another version, or build it again."


def differs(path: Path | str, before: int, hint: str, start: int, end: int) -> CorruptFileError:
    """What to raise where bytes of a file, `before` of them skipped, aren't what was written."""
    message = f"Bytes {before + start} to {before + end} of {path} aren't what was written: their checksum is another."
    return CorruptFileError(message, hint)


def _write(file: BinaryIO, hashes: NDArray[np.uint64], sums: NDArray[np.uint32]) -> None:
    np.save(file, hashes)
    file.write(sums.tobytes())
    file.write(block_sums(hashes.data).tobytes())


def _block_count(size: int) -> int:
    return -(-size // BLOCK_BYTES)
