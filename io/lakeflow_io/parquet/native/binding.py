"""The compiled decoder, called through ctypes: it holds no Python object and runs without the GIL."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeflow_io.parquet.native.pool import buffer_pool

__all__ = ["Chunk", "Worker", "library", "thread_worker"]

_LIBRARY = "_decoder.so"
_Grow = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)
_Decompress = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)


class Chunk(ctypes.Structure):
    """`lf_chunk` of decoder.h."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("uncompressed_limit", ctypes.c_int64),
        ("physical", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("codec", ctypes.c_int32),
        ("optional", ctypes.c_int32),
        ("output", ctypes.c_int32),
        ("check_crc", ctypes.c_int32),
        ("validity", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("grow", _Grow),
        ("decompress", _Decompress),
        ("nulls", ctypes.c_int64),
        ("data_bytes", ctypes.c_int64),
    )


@cache
def library() -> Any:
    """The library beside this file, or None where it wasn't built."""
    path = Path(__file__).with_name(_LIBRARY)
    if not path.exists():
        return None
    loaded = ctypes.CDLL(str(path))
    loaded.lf_scratch_new.restype = ctypes.c_void_p
    loaded.lf_scratch_free.argtypes = [ctypes.c_void_p]
    loaded.lf_decode_chunk.argtypes = [ctypes.c_void_p, ctypes.POINTER(Chunk)]
    loaded.lf_struct_field.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32,
        ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_int64),
    ]  # fmt: skip
    return loaded


class Worker:
    """What one thread decodes with: scratch memory, and the two calls that C makes back."""

    def __init__(self, native: Any) -> None:
        self._library = native
        self._scratch = native.lf_scratch_new()
        self._data: Any = None
        self._codec: Any = None
        self._grow = _Grow(self._grown)
        self._decompress = _Decompress(self._decompressed)

    def __del__(self) -> None:
        self._library.lf_scratch_free(self._scratch)

    def decode(self, chunk: Chunk, codec: Any) -> tuple[bool, Any]:
        """Decode one column chunk.

        Args:
            chunk: With its input and output set.
            codec: A `pyarrow.Codec` for what C doesn't decompress itself.

        Returns:
            Whether it worked, and the buffer that strings were written to.
        """
        chunk.grow, chunk.decompress = self._grow, self._decompress
        self._data, self._codec = None, codec
        done = self._library.lf_decode_chunk(self._scratch, chunk) == 0
        data, self._data, self._codec = self._data, None, None
        return done, data

    def _grown(self, size: int) -> int | None:
        try:
            if self._data is None:
                self._data = pa.allocate_buffer(size, buffer_pool(), resizable=True)
            else:
                self._data.resize(size)
        except MemoryError:
            return None
        return int(self._data.address)

    def _decompressed(self, source: int, size: int, target: int, expected: int) -> int:
        try:
            found = self._codec.decompress(pa.foreign_buffer(source, size), decompressed_size=expected)
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            return -1
        if found.size != expected:
            return -1
        ctypes.memmove(target, found.address, expected)
        return 0


_threads = threading.local()


def thread_worker() -> Worker | None:
    """This thread's worker; None where there is no compiled decoder."""
    native = library()
    if native is None:
        return None
    worker: Worker | None = getattr(_threads, "worker", None)
    if worker is None:
        worker = _threads.worker = Worker(native)
    return worker
