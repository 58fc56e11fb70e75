"""Blocks of mapped files, each compared with its checksum before it is first relied on.

A file may have been damaged since it was written, by its disk, by memory, by a copy; to read all of it when it is
opened takes long. So there is a CRC-32 for each 4 KiB of it, and a bit that says whether it was compared. Whoever reads
asks for that bit, and compares where it isn't set: once for each block.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow_io.keyed.binding import BlocksStruct, Checked, Layout, address, is_text, is_wide, keyed_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from lakeflow_io.errors import CorruptFileError

    _Complaint = Callable[[int, int], CorruptFileError]

__all__ = ["BLOCK_BYTES", "Blocks", "Layouts", "block_sums"]

BLOCK_BYTES = 4096
"""`LF_BLOCK` of keyed.h."""
_WORD_BITS = 64
_SOUND = -1
"""`LF_SOUND` of keyed.h; what is less says that there are fewer bytes than are looked for."""


def block_sums(data: bytes | bytearray | memoryview | pa.Buffer) -> NDArray[np.uint32]:
    """Return the CRC-32 of each block; the last one may be shorter."""
    view = memoryview(data)
    if not view.nbytes:  # which can't be cast
        return np.empty(0, dtype=np.uint32)
    view = view.cast("B")
    native = keyed_library()
    if native is None:
        starts = range(0, len(view), BLOCK_BYTES)
        return np.array([zlib.crc32(view[start : start + BLOCK_BYTES]) for start in starts], dtype=np.uint32)
    sums = np.empty(-(-len(view) // BLOCK_BYTES), dtype=np.uint32)
    native.lf_block_sums(address(np.frombuffer(view, dtype=np.uint8)), len(view), address(sums))
    return sums


class Blocks:
    """A mapped file, or a part of one; any number of threads may read it at once.

    Args:
        data: Its bytes.
        sums: Of its blocks, as `block_sums` gives them.
        complaint: What to raise, from the first of the bytes that differ, and the one behind them.
    """

    def __init__(self, data: pa.Buffer, sums: NDArray[np.uint32], complaint: _Complaint) -> None:
        self._data, self._sums, self._complaint = data, sums, complaint
        self._seen = np.zeros(-(-len(sums) // _WORD_BITS), dtype=np.uint64)
        self._whole = False
        self._struct = BlocksStruct(data.address, data.size, address(sums), address(self._seen), _SOUND)
        self._native = keyed_library()
        self.pointer = ctypes.addressof(self._struct)
        """Of an `lf_blocks`, for as long as this object lives."""

    @property
    def address(self) -> int:
        """Where the bytes begin."""
        return int(self._struct.start)

    @property
    def size(self) -> int:
        """How many there are."""
        return int(self._struct.size)

    @property
    def is_damaged(self) -> bool:
        """Whether C has met a block that differs."""
        return bool(self._struct.damaged != _SOUND)

    def check_all(self) -> None:
        """Compare all blocks that weren't.

        Raises:
            CorruptFileError: one differs.
        """
        if not self._whole:
            self.check(0, self.size)
            self._whole = True

    def check(self, start: int, end: int) -> None:
        """Compare the blocks of some bytes that weren't.

        Raises:
            CorruptFileError: one differs.
        """
        if self._native is not None:
            if not self._native.lf_check_bytes(self.pointer, start, end - start):
                raise self.error()
            return
        for block in range(start // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            self._compare(block)

    def error(self) -> CorruptFileError:
        """What to raise when C has found a block that differs."""
        start = self._struct.damaged * BLOCK_BYTES
        if start < 0:  # it points out of the file: what does isn't known
            return self._complaint(0, self.size)
        return self._complaint(start, min(start + BLOCK_BYTES, self.size))

    def _compare(self, block: int) -> None:
        word, bit = divmod(block, _WORD_BITS)
        if int(self._seen[word]) >> bit & 1:
            return
        if zlib.crc32(self._data[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]) != self._sums[block]:
            self._struct.damaged = block
            raise self.error()
        self._seen[word] |= np.uint64(1 << bit)


class Layouts:
    """How columns lie in a mapped file, as C takes it."""

    def __init__(self, columns: Sequence[pa.Array]) -> None:
        self._held: list[Any] = [columns]
        self._native = keyed_library()
        self.array = (Layout * len(columns))(*(self._layout(each.type, iter(each.buffers())) for each in columns))
        self.count = len(columns)

    def at(self, number: int) -> int:
        """The address of a column's."""
        return ctypes.addressof(self.array) + number * ctypes.sizeof(Layout)

    def check_row(self, blocks: Blocks, row: int, columns: Iterable[int] | None = None) -> None:
        """Compare a row with its checksums; without the library nothing is done: compare all before.

        Args:
            blocks: Of the file.
            row: Which.
            columns: Which of its columns, by number; all where None.

        Raises:
            CorruptFileError: a block differs.
        """
        if self._native is None:
            return
        some = [(0, self.count)] if columns is None else [(number, 1) for number in columns]
        for number, count in some:
            if not self._native.lf_check_row(blocks.pointer, self.at(number), count, row):
                raise blocks.error()

    def check_rows(self, blocks: Blocks, rows: NDArray[np.int64], columns: Iterable[int]) -> None:
        """As `check_row`, of many rows."""
        if self._native is None:
            return
        for number in columns:
            one = [(ctypes.c_void_p * 1)(where) for where in (blocks.pointer, self.at(number))]
            if self._native.lf_check_places(ctypes.byref(Checked(*one)), 1, address(rows), len(rows)) >= 0:
                raise blocks.error()

    def _layout(self, kind: pa.DataType, buffers: Iterator[pa.Buffer | None]) -> Layout:
        """Describe a column by its buffers, which Arrow lists parents first."""
        if isinstance(kind, pa.BaseExtensionType):
            return self._layout(kind.storage_type, buffers)
        if pa.types.is_primitive(kind):  # most columns, and a request may wait for them
            return Layout(_start(next(buffers)), _start(next(buffers)), kind.bit_width, each=1)
        layout = Layout(validity=_start(next(buffers)), each=1)
        if pa.types.is_null(kind):
            return layout
        if is_text(kind) or _has_offsets(kind):
            layout.values, layout.offsets = _start(next(buffers)), 1
            layout.bits = 64 if is_wide(kind) or pa.types.is_large_list(kind) else 32
            if is_text(kind):
                layout.data = _start(next(buffers))
        elif pa.types.is_fixed_size_list(kind):
            layout.each = kind.list_size
        elif not pa.types.is_struct(kind):
            layout.values, layout.bits = _start(next(buffers)), kind.bit_width
        inside = [kind.field(number) for number in range(kind.num_fields)] if pa.types.is_nested(kind) else []
        if inside:
            children = (Layout * len(inside))(*(self._layout(field.type, buffers) for field in inside))
            self._held.append(children)
            layout.children, layout.child_count = ctypes.addressof(children), len(inside)
        return layout


def _start(buffer: pa.Buffer | None) -> int | None:
    return None if buffer is None or not buffer.size else int(buffer.address)


def _has_offsets(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind)
