"""The compiled Avro decoder, called through ctypes without the GIL."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow_io.iceberg.manifests.program import LISTS, NUMBERS
from lakeflow_io.parquet.native.binding import library

if TYPE_CHECKING:
    from lakeflow_io.iceberg.manifests.program import Program

__all__ = ["CODECS", "Decoded", "avro_library"]

CODECS = {"null": 0, "deflate": 1, "snappy": 2}
"""Those that C decompresses, as avro.h numbers them."""
_TOO_LARGE, _NO_MEMORY = 2, 3


class _Slot(ctypes.Structure):
    """`lf_slot` of avro.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("values", ctypes.c_void_p),
        ("validity", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
        ("data_size", ctypes.c_int64),
        ("data_capacity", ctypes.c_int64),
        ("valid", ctypes.c_int64),
    )


@cache
def avro_library() -> Any:
    """The compiled decoder, or None where it wasn't built."""
    native = library()
    if native is None or not hasattr(native, "lf_avro_new"):  # built before there was one for Avro
        return None
    handle = ctypes.c_void_p
    native.lf_avro_new.argtypes = [handle, ctypes.c_int64, handle, ctypes.c_int32, ctypes.c_int32]
    native.lf_avro_new.restype = handle
    native.lf_avro_free.argtypes = [handle]
    native.lf_avro_free.restype = None
    native.lf_avro_decode.argtypes = [handle, handle, ctypes.c_int64, ctypes.c_int32, ctypes.c_char_p]
    native.lf_avro_rows.argtypes = [handle]
    native.lf_avro_rows.restype = ctypes.c_int64
    native.lf_avro_slot.argtypes = [handle, ctypes.c_int32]
    native.lf_avro_slot.restype = ctypes.POINTER(_Slot)
    return native


class Decoded:
    """The columns of one file, in C's memory: it lives as long as an array does that was made of it.

    Raises:
        MemoryError: there is none left.
    """

    def __init__(self, native: Any, program: Program) -> None:
        self._library = native
        self._program = program
        words = np.array(program.words, np.int32)
        slots = np.array([(slot.kind, slot.width) for slot in program.slots], np.int32)
        self._handle = native.lf_avro_new(
            words.ctypes.data, len(words), slots.ctypes.data, len(program.slots), program.tally
        )
        if not self._handle:
            raise MemoryError

    def __del__(self) -> None:
        self._library.lf_avro_free(self._handle)

    def decode(self, body: memoryview, codec: int, sync: bytes) -> str | None:
        """Decode all blocks; what is wrong with them, None where nothing is.

        Raises:
            MemoryError: there is none left.
        """
        source = pa.py_buffer(body)
        result = self._library.lf_avro_decode(self._handle, source.address, source.size, codec, sync)
        if result == _NO_MEMORY:
            raise MemoryError
        if not result:
            return None
        return "it has more than a manifest may have" if result == _TOO_LARGE else "a block is damaged"

    @property
    def rows(self) -> int:
        """Records."""
        return int(self._library.lf_avro_rows(self._handle))

    def column(self, index: int, kind: pa.DataType) -> pa.Array | None:
        """A slot's column as an Arrow type that has its layout; None where all is null."""
        found, rows = self._library.lf_avro_slot(self._handle, index).contents, self.rows
        if not found.valid:
            return None
        missing = rows - found.valid
        validity = self._buffer(found.validity, (rows + 7) // 8) if missing else None
        if found.kind == NUMBERS:
            values = self._buffer(found.values, rows * found.width)
            return pa.Array.from_buffers(kind, rows, [validity, values], missing)
        offsets = self._buffer(found.values, (rows + 1) * 4)
        data = self._buffer(found.data, found.data_size) if found.data else pa.py_buffer(b"")
        if found.kind == LISTS:
            items = pa.Array.from_buffers(pa.int64(), found.data_size // 8, [None, data])
            return pa.Array.from_buffers(kind, rows, [validity, offsets], missing, children=[items])
        return pa.Array.from_buffers(kind, rows, [validity, offsets, data], missing)

    def _buffer(self, address: int, size: int) -> pa.Buffer:
        return pa.foreign_buffer(address, size, self)
