"""Hashes of texts, and hashes in order."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.keyed.binding import address, held_library, keyed_library, texts_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["corrupt_texts", "hashed_text", "hashed_texts", "sort_hashes"]


def hashed_text(text: bytes) -> int | None:
    """As `hashed_texts`, of one."""
    hashed: int | None = None if keyed_library() is None else held_library().lf_hash_text(text, len(text))
    return hashed


def hashed_texts(array: pa.Array) -> NDArray[np.uint64] | None:
    """Hash each text as `lakeflow.cache.keys.hashing` says.

    Args:
        array: (large_)string or (large_)binary without nulls; a slice is fine.

    Returns:
        uint64, one per text; None where the library isn't there or the type is another.

    Raises:
        CorruptFileError: an offset points out of the data.
    """
    native, texts = keyed_library(), texts_of(array)
    if native is None or texts is None:
        return None
    hashes = np.empty(len(array), dtype=np.uint64)
    if not native.lf_hash_texts(ctypes.byref(texts), len(array), address(hashes)):
        raise corrupt_texts()
    return hashes


def sort_hashes(hashes: NDArray[np.uint64], places: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sort hashes, and places along with them; of equal hashes the first stays first.

    Args:
        hashes: uint64; sorted in place where the library is there.
        places: int64, as many; the same.

    Raises:
        MemoryError: there are no 32 bytes a row.
    """
    native = keyed_library()
    if native is None:
        order = np.argsort(hashes, kind="stable")
        return hashes[order], places[order]
    if not native.lf_sort_hashes(address(hashes), address(places), len(hashes)):
        raise MemoryError
    return hashes, places


def corrupt_texts() -> CorruptFileError:
    """What is wrong where offsets point anywhere."""
    message = "The offsets of a text column point out of its data."
    return CorruptFileError(message, "verify() names the damaged file; roll back to another version.")
