"""The compiled decoder, called through ctypes: it holds no Python object and runs without the GIL."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.parquet.native.pool import buffer_pool

if TYPE_CHECKING:
    from lakeflow_io.parquet.native.codecs import Decompress

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


class _Calls:
    """What C calls back while it decodes a chunk: for memory, and for codecs that it lacks."""

    def __init__(self) -> None:
        self.data: Any = None
        self.decompress: Decompress | None = None
        self.error: BaseException | None = None

    def begin(self, decompress: Decompress | None) -> None:
        """Get ready for the next chunk, and let go of what belongs to the last one."""
        self.data, self.decompress, self.error = None, decompress, None

    def grown(self, size: int) -> int | None:
        """The address of `size` bytes that begin with what was there before; None where there is no memory."""
        try:
            if self.data is None:
                self.data = pa.allocate_buffer(size, buffer_pool(), resizable=True)
            else:
                self.data.resize(size)
        except BaseException as error:  # noqa: BLE001  (C can't pass it on; `decode` raises it)
            self.error = error
            return None
        return int(self.data.address)

    def decompressed(self, source: int, size: int, target: int, expected: int) -> int:
        """Decompress one page; 1 when it came out in the expected size. ctypes answers 0 where an exception leaves."""
        try:
            assert self.decompress is not None  # noqa: S101  (C asks only where it can't itself)
            return int(self.decompress(pa.foreign_buffer(source, size), target, expected))
        except (pa.ArrowException, OSError, ValueError):  # damage
            return 0
        except BaseException as error:  # noqa: BLE001  (C can't pass it on; `decode` raises it)
            self.error = error
            return 0


class Worker:
    """What one thread decodes with: scratch memory, and the two calls that C makes back."""

    def __init__(self, native: Any) -> None:
        self._library = native
        self._scratch = native.lf_scratch_new()
        # Apart from the worker: a cycle would keep the scratch memory of a thread that has ended.
        self._calls = _Calls()
        self._grow, self._decompress = _Grow(self._calls.grown), _Decompress(self._calls.decompressed)

    def __del__(self) -> None:
        self._library.lf_scratch_free(self._scratch)

    def decode(self, chunk: Chunk, decompress: Decompress | None) -> tuple[int, Any]:
        """Decode one column chunk.

        Args:
            chunk: With its input and output set.
            decompress: For a codec that C lacks.

        Returns:
            0 or one of decoder.h's reasons why not, and the buffer that strings were written to.

        Raises:
            MemoryError: there is none left.
        """
        chunk.grow, chunk.decompress = self._grow, self._decompress
        calls = self._calls
        calls.begin(decompress)
        status = int(self._library.lf_decode_chunk(self._scratch, chunk))
        data, error = calls.data, calls.error
        calls.begin(None)
        if error is not None:
            raise error
        return status, data


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
