"""The compiled part, called through ctypes, and Arrow's buffers as it takes them."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.parquet.native.binding import library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "NO_TEXTS",
    "BlocksStruct",
    "Checked",
    "Column",
    "Index",
    "Layout",
    "Sorted",
    "Texts",
    "address",
    "held_library",
    "is_text",
    "is_wide",
    "keyed_library",
    "texts_of",
]

_NARROW, _WIDE, NO_TEXTS = range(3)
_WIDE_IDS = frozenset(kind.id for kind in (pa.large_string(), pa.large_binary()))
_TEXT_IDS = _WIDE_IDS | {pa.string().id, pa.binary().id}


class BlocksStruct(ctypes.Structure):
    """`lf_blocks` of keyed.h."""

    _fields_ = (
        ("start", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("sums", ctypes.c_void_p),
        ("seen", ctypes.c_void_p),
        ("damaged", ctypes.c_int64),
    )


class Layout(ctypes.Structure):
    """`lf_layout` of keyed.h."""

    _fields_ = (
        ("validity", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("bits", ctypes.c_int64),
        ("offsets", ctypes.c_int64),
        ("data", ctypes.c_void_p),
        ("children", ctypes.c_void_p),
        ("child_count", ctypes.c_int64),
        ("each", ctypes.c_int64),
    )


class Checked(ctypes.Structure):
    """`lf_checked` of keyed.h."""

    _fields_ = (("blocks", ctypes.POINTER(ctypes.c_void_p)), ("layouts", ctypes.POINTER(ctypes.c_void_p)))


class Texts(ctypes.Structure):
    """`lf_texts` of keyed.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("offsets", ctypes.c_void_p),
        ("kind", ctypes.c_int64),
        ("blocks", ctypes.c_void_p),
    )


class Column(ctypes.Structure):
    """`lf_column` of keyed.h."""

    _fields_ = (
        ("sources", ctypes.POINTER(ctypes.c_void_p)),
        ("width", ctypes.c_int64),
        ("blocks", ctypes.POINTER(ctypes.c_void_p)),
    )


class Sorted(ctypes.Structure):
    """`lf_sorted` of keyed.h."""

    _fields_ = (
        ("hashes", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("index", ctypes.c_void_p),
        ("payload", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("column_count", ctypes.c_int64),
        ("keys", Texts),
    )


class Index(ctypes.Structure):
    """`lf_index` of keyed.h."""

    _fields_ = (
        ("sources", ctypes.c_void_p),
        ("firsts", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("starts", ctypes.c_void_p),
        ("buckets", ctypes.c_int64),
    )


@cache
def keyed_library() -> Any:
    """The library, or None where it wasn't built."""
    native = library()
    if native is None or not hasattr(native, "lf_bucket_words"):  # built before there was this part
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    native.lf_hash_texts.argtypes = [ctypes.POINTER(Texts), size, pointer]
    native.lf_sort_hashes.argtypes = [pointer, pointer, size]
    native.lf_gather.argtypes = [ctypes.POINTER(Column), size, pointer, size, pointer]
    native.lf_gather.restype = size
    native.lf_gather_offsets.argtypes = [ctypes.POINTER(Texts), pointer, size, ctypes.c_int32, pointer]
    native.lf_gather_offsets.restype = size
    native.lf_gather_texts.argtypes = [ctypes.POINTER(Texts), pointer, size, pointer]
    native.lf_gather_texts.restype = None
    native.lf_find_texts.argtypes = [ctypes.POINTER(Index), ctypes.POINTER(Texts), size, pointer]
    native.lf_find_texts.restype = None
    native.lf_find_words.argtypes = [ctypes.POINTER(Index), pointer, size, pointer]
    native.lf_find_words.restype = None
    native.lf_find_hashes.argtypes = [ctypes.POINTER(Index), pointer, size, pointer]
    native.lf_find_hashes.restype = None
    native.lf_bucket_words.argtypes = [pointer, size, size, pointer]
    native.lf_bucket_words.restype = None
    native.lf_bucket_texts.argtypes = [ctypes.POINTER(Texts), size, size, pointer]
    native.lf_block_sums.argtypes = [pointer, size, pointer]
    native.lf_block_sums.restype = None
    native.lf_check_bytes.argtypes = [pointer, size, size]
    native.lf_check_row.argtypes = [pointer, pointer, size, size]
    native.lf_check_places.argtypes = [ctypes.POINTER(Checked), size, pointer, size]
    native.lf_check_places.restype = size
    return native


@cache
def held_library() -> Any:
    """The library, called for one key with the GIL: to let go of it takes longer than the look-up.

    Without argument types where it looks up, as their checks take as long again: bytes are passed as their address, a
    small int as an int, and a pointer as it is.
    """
    held = ctypes.PyDLL(keyed_library()._name)  # noqa: SLF001  (where ctypes has the file's name)
    held.lf_find_text.restype = held.lf_find_word.restype = held.lf_find_hash.restype = ctypes.c_int64
    held.lf_hash_text.argtypes = [ctypes.c_char_p, ctypes.c_int64]
    held.lf_hash_text.restype = ctypes.c_uint64
    return held


def address(values: NDArray[np.generic]) -> int:
    """Where the values of a contiguous numpy array lie."""
    return int(values.__array_interface__["data"][0])  # a third of the time of `values.ctypes.data`


def is_text(kind: pa.DataType) -> bool:
    """Whether it is one that `texts_of` takes."""
    return kind.id in _TEXT_IDS


def is_wide(kind: pa.DataType) -> bool:
    """Whether a text's offsets have 64 bits."""
    return kind.id in _WIDE_IDS


def texts_of(array: pa.Array) -> Texts | None:
    """A string or binary array, with the offset of a slice in it; it must outlive the result. None for other types."""
    if not is_text(array.type):
        return None
    _, offsets, data = array.buffers()
    if offsets is None:
        return None  # an empty array may have none
    wide = is_wide(array.type)
    start = offsets.address + array.offset * (8 if wide else 4)
    return Texts(data.address if data else None, data.size if data else 0, start, _WIDE if wide else _NARROW)
