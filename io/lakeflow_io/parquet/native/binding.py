"""The compiled decoder, called through ctypes: it holds no Python object and runs without the GIL."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from lakeflow_io.parquet.native.codecs import Decompress

__all__ = ["LEAF_BYTES", "Chunk", "Fault", "Worker", "library", "thread_worker"]

_LIBRARY = "_decoder.so"
LEAF_BYTES = 16  # of `lf_leaf`
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
        ("values_size", ctypes.c_int64),
        ("grow", _Grow),
        ("decompress", _Decompress),
        ("nulls", ctypes.c_int64),
        ("data_bytes", ctypes.c_int64),
        ("index", ctypes.c_int32),
        ("status", ctypes.c_int32),
    )


class Fault(ctypes.Structure):
    """`lf_fault` of decoder.h."""

    _fields_ = (("kind", ctypes.c_int32), ("row_group", ctypes.c_int32), ("column", ctypes.c_int32))


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
    loaded.lf_check_footer.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int32, ctypes.POINTER(Fault),
    ]  # fmt: skip
    loaded.lf_list_chunks.argtypes = [
        ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    loaded.lf_list_chunks.restype = ctypes.c_int64
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


class _Calls:
    """What C calls back while it decodes: for memory, and for codecs that it lacks."""

    def __init__(self) -> None:
        self.begin([], None)

    def begin(self, texts: list[Any], decompress: Decompress | None) -> None:
        """Get ready for the next chunks, and let go of what belongs to the last ones."""
        self.texts, self.decompress = texts, decompress
        self.error: BaseException | None = None

    def grown(self, index: int, size: int) -> int | None:
        """The address of `size` bytes for the text of a chunk, with what was there; None where there is no memory."""
        try:
            self.texts[index].resize(size)
            return int(self.texts[index].address)
        except BaseException as error:  # noqa: BLE001  (C can't pass it on; `Worker.decode` raises it)
            self.error = error
            return None

    def decompressed(self, source: int, size: int, target: int, expected: int) -> int:
        """Decompress one page; 1 when it came out in the expected size. ctypes answers 0 where an exception leaves."""
        try:
            assert self.decompress is not None  # noqa: S101  (C asks only where it can't itself)
            return int(self.decompress(pa.foreign_buffer(source, size), target, expected))
        except (pa.ArrowException, OSError, ValueError):  # damage
            return 0
        except BaseException as error:  # noqa: BLE001  (C can't pass it on; `Worker.decode` raises it)
            self.error = error
            return 0


class Worker:
    """What one thread decodes with: scratch memory, and the two calls that C makes back."""

    def __init__(self, native: Any) -> None:
        self._library = native
        self._scratch = native.lf_scratch_new()
        # Apart from the worker: a cycle would keep the scratch memory of a thread that has ended.
        self._calls = _Calls()
        self.grow, self.decompress = _Grow(self._calls.grown), _Decompress(self._calls.decompressed)

    def __del__(self) -> None:
        self._library.lf_scratch_free(self._scratch)

    def decode(self, chunks: Any, texts: list[Any], decompress: Decompress | None) -> None:
        """Decode column chunks of one row group in one call.

        Args:
            chunks: An array of `Chunk`, with their input and output set.
            texts: The resizable buffer for each one's text; None where it has none.
            decompress: For a codec that C lacks; one for all of them.

        Raises:
            MemoryError: there is none left.
        """
        self._calls.begin(texts, decompress)
        self._library.lf_decode_chunks(self._scratch, chunks, len(chunks))
        error = self._calls.error
        self._calls.begin([], None)
        if error is not None:
            raise error


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
