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
# The interface of major version 1 is stable.
_ZSTD_NAMES = ("libzstd.so.1", "libzstd.1.dylib")
_Grow = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64)
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
        ("data", ctypes.c_void_p),
        ("data_capacity", ctypes.c_int64),
        ("grow", _Grow),
        ("decompress", _Decompress),
        ("nulls", ctypes.c_int64),
        ("data_bytes", ctypes.c_int64),
        ("index", ctypes.c_int32),
        ("status", ctypes.c_int32),
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
    loaded.lf_decode_chunks.argtypes = [ctypes.c_void_p, ctypes.POINTER(Chunk), ctypes.c_int32]
    loaded.lf_decode_chunks.restype = None
    loaded.lf_struct_field.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32,
        ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_int64),
    ]  # fmt: skip
    _use_zstd(loaded)
    return loaded


def _use_zstd(loaded: Any) -> None:
    """Hand the system's libzstd over: it is nearly everywhere, and calling it needs no GIL.

    Iceberg's default codec is worth it. pyarrow's own copy makes a context for every page, and calling
    it from C means waiting for the GIL twice.
    """
    for name in _ZSTD_NAMES:
        try:
            zstd = ctypes.CDLL(name)
            functions = [zstd.ZSTD_createDCtx, zstd.ZSTD_freeDCtx, zstd.ZSTD_decompressDCtx]
        except (OSError, AttributeError):
            continue
        loaded.lf_use_zstd(*(ctypes.cast(each, ctypes.c_void_p) for each in functions))
        return


class Worker:
    """What one thread decodes with: scratch memory, and the two calls that C makes back."""

    def __init__(self, native: Any) -> None:
        self._library = native
        self._scratch = native.lf_scratch_new()
        self._texts: list[Any] = []
        self._codec: Any = None
        self.grow = _Grow(self._grown)
        self.decompress = _Decompress(self._decompressed)

    def __del__(self) -> None:
        self._library.lf_scratch_free(self._scratch)

    def decode(self, chunks: Any, texts: list[Any], codec: str | None) -> None:
        """Decode column chunks of one row group in one call.

        Args:
            chunks: An array of `Chunk`, with their input and output set.
            texts: The buffer for each one's text, or None; replaced where it is too small.
            codec: The pyarrow codec of what C doesn't decompress itself; one for all of them.
        """
        self._texts = texts
        self._codec = pa.Codec(codec) if codec else None
        self._library.lf_decode_chunks(self._scratch, chunks, len(chunks))
        self._texts, self._codec = [], None

    def _grown(self, index: int, size: int) -> int | None:
        try:
            if self._texts[index] is None:
                self._texts[index] = pa.allocate_buffer(size, buffer_pool(), resizable=True)
            else:
                self._texts[index].resize(size)
        except MemoryError:
            return None
        return int(self._texts[index].address)

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
