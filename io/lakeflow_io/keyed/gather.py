"""Rows of several batches, in any order, as columns."""

from __future__ import annotations

import ctypes
from functools import cached_property
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeflow_io.keyed.binding import Checked, Column, Texts, address, is_text, is_wide, keyed_library, texts_of
from lakeflow_io.keyed.order import corrupt_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lakeflow_io.keyed.blocks import Blocks, Layouts

__all__ = ["LAST_ROW", "ROW_BITS", "Gatherer", "place_of"]

ROW_BITS = 32
"""A place has the source above, and the row in it below."""
LAST_ROW = (1 << ROW_BITS) - 1
_REMEMBERED = 64  # choices of columns whose addresses are kept: to find them takes as long as to gather a hundred rows
_MOST_NARROW_BYTES = 2**31 - 1
_BYTE_BITS = 8
_ALIGNED_BYTES = 64  # `lf_padded` of keyed.h
_DAMAGED = -(2**32)  # `LF_DAMAGED` of keyed.h


def place_of(source: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where rows of a source lie, as a `Gatherer` is told."""
    return rows | np.int64(source << ROW_BITS)


class Gatherer:
    """Brings rows of batches together; any number of threads may at once.

    Flat columns of fixed width and texts, without nulls, are copied in C; all others by pyarrow.

    Args:
        schema: Of the batches, but for metadata.
        batches: Each of less than 2**32 rows; None for one that comes later, with `add`.
    """

    def __init__(self, schema: pa.Schema, batches: Sequence[pa.RecordBatch | None]) -> None:
        self._schema, self._batches = schema, list(batches)
        self._blocks: list[tuple[Blocks, Layouts] | None] = [None] * len(self._batches)
        self._prepared: dict[tuple[str, ...], _Columns] = {}
        self._adding = Lock()

    def add(self, number: int, batch: pa.RecordBatch, blocks: tuple[Blocks, Layouts] | None = None) -> None:
        """Have a batch, before any of its places is asked for.

        Args:
            number: Which.
            batch: The rows.
            blocks: Of the file that they are mapped from, with how its columns lie there: what is gathered is compared
                with its checksum before.
        """
        with self._adding:  # a batch and its blocks are of one mapping
            if self._batches[number] is None:
                self._blocks[number] = blocks
                self._batches[number] = batch
                self._prepared = {}  # after the batch: whoever prepares into this one has seen it

    def gather(self, places: NDArray[np.int64], names: Sequence[str]) -> list[pa.Array]:
        """Return columns with a row for each place.

        Args:
            places: int64, contiguous, as `place_of` gives them.
            names: Which columns, in this order.

        Raises:
            CorruptFileError: a block or a text column of a mapped batch is damaged.
            pyarrow.ArrowException: 2 GiB of texts with offsets of 32 bits, or a type that pyarrow can't take.
        """
        prepared, wanted = self._prepared, tuple(names)
        columns = prepared.get(wanted)
        if columns is None:
            columns = self._prepare(wanted)
            if len(prepared) < _REMEMBERED:
                prepared[wanted] = columns
        return columns.gather(places)

    @cached_property
    def _nothing(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist([], schema=self._schema)

    def _prepare(self, names: tuple[str, ...]) -> _Columns:
        batches = [batch or self._nothing for batch in self._batches or [None]]
        numbers = [self._schema.get_field_index(name) for name in names]
        sources = [[batch.column(number) for batch in batches] for number in numbers]
        kinds = [self._schema.field(number).type for number in numbers]
        return _Columns(kinds, sources, _Checks(self._blocks or [None], numbers))


class _Checks:
    """The blocks of sources, and how some columns lie in them."""

    def __init__(self, sources: Sequence[tuple[Blocks, Layouts] | None], numbers: list[int]) -> None:
        self.any = any(sources)
        self.sources = list(sources)
        self.pointers = (ctypes.c_void_p * len(sources))(*(each and each[0].pointer for each in sources))
        self._numbers = numbers

    def check(self, native: Any, column: int, places: NDArray[np.int64]) -> None:
        """Compare a column of rows."""
        if not self.any:
            return
        number = self._numbers[column]
        layouts = (ctypes.c_void_p * len(self.sources))(*(each and each[1].at(number) for each in self.sources))
        checked = Checked(self.pointers, layouts)
        damaged = native.lf_check_places(ctypes.byref(checked), 1, address(places), len(places))
        if damaged >= 0:
            raise self.error(damaged)

    def error(self, source: int) -> Exception:
        """What is wrong with a source that has a damaged block."""
        found = self.sources[source]
        return corrupt_texts() if found is None else found[0].error()


class _Columns:
    """Some columns, and where their values are."""

    def __init__(self, kinds: list[pa.DataType], sources: list[list[pa.Array]], checks: _Checks) -> None:
        self._kinds, self._sources, self._checks = kinds, sources, checks
        self._native = keyed_library()
        self._widths = [
            0 if self._native is None else _width(kind, each) for kind, each in zip(kinds, sources, strict=True)
        ]
        fixed = [(each, width) for each, width in zip(sources, self._widths, strict=True) if width]
        self._starts = [_starts(each, width) for each, width in fixed]
        blocks = checks.pointers if checks.any else None
        columns = [Column(starts, width, blocks) for starts, (_, width) in zip(self._starts, fixed, strict=True)]
        self._fixed = (Column * len(columns))(*columns)
        self._texts = {} if self._native is None else _all_texts(kinds, sources, checks)

    def gather(self, places: NDArray[np.int64]) -> list[pa.Array]:
        rows, where = len(places), address(places)
        padded = [-(-rows * width // _ALIGNED_BYTES) * _ALIGNED_BYTES for width in self._widths]
        values = pa.allocate_buffer(sum(padded))
        if len(self._fixed):
            damaged = self._native.lf_gather(self._fixed, len(self._fixed), where, rows, values.address)
            if damaged >= 0:
                raise self._checks.error(damaged)
        found, at = [], 0
        for number, (kind, width) in enumerate(zip(self._kinds, self._widths, strict=True)):
            if width:
                found.append(pa.Array.from_buffers(kind, rows, [None, values.slice(at, rows * width)], 0))
                at += padded[number]
            elif number in self._texts:
                found.append(self._gathered_texts(self._texts[number], kind, where, rows))
            else:
                self._checks.check(self._native, number, places)
                found.append(_taken(self._sources[number], places))
        return found

    def _gathered_texts(self, texts: Any, kind: pa.DataType, where: int, rows: int) -> pa.Array:
        wide = is_wide(kind)
        offsets = pa.allocate_buffer((rows + 1) * (8 if wide else 4))
        size = self._native.lf_gather_offsets(texts, where, rows, wide, offsets.address)
        if size <= _DAMAGED:
            raise self._checks.error(_DAMAGED - size)
        if size < 0:
            raise corrupt_texts()
        if size > _MOST_NARROW_BYTES and not wide:
            raise pa.ArrowInvalid("offset overflow: more than 2 GiB of texts with offsets of 32 bits")
        data = pa.allocate_buffer(size)
        self._native.lf_gather_texts(texts, where, rows, data.address)
        return pa.Array.from_buffers(kind, rows, [None, offsets, data], 0)


def _width(kind: pa.DataType, sources: list[pa.Array]) -> int:
    """The bytes of a value of a column that C copies; 0 for others, as booleans and binary of no bytes."""
    flat = pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind)
    if not flat or any(source.null_count for source in sources) or kind.bit_width % _BYTE_BITS:
        return 0
    return int(kind.bit_width) // _BYTE_BITS


def _starts(sources: list[pa.Array], width: int) -> Any:
    data = [source.buffers()[1] for source in sources]
    return (ctypes.c_void_p * len(sources))(
        *((each.address if each else 0) + source.offset * width for each, source in zip(data, sources, strict=True))
    )


def _all_texts(kinds: list[pa.DataType], sources: list[list[pa.Array]], checks: _Checks) -> dict[int, Any]:
    found = {}
    for number, (kind, each) in enumerate(zip(kinds, sources, strict=True)):
        if not is_text(kind):
            continue
        nulls = any(source.null_count for source in each)
        texts = [] if nulls else [texts for source in each if (texts := texts_of(source)) is not None]
        if texts and len(texts) == len(each):
            found[number] = (Texts * len(texts))(*texts)
            for source, blocks in zip(found[number], checks.pointers, strict=True):
                source.blocks = blocks
    return found


def _taken(sources: list[pa.Array], places: NDArray[np.int64]) -> pa.Array:
    """Take rows source by source, which copies no source as a whole, and put them in order."""
    if len(sources) == 1:
        return sources[0].take(pa.array(places))
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    bounds = np.arange(len(sources) + 1, dtype=np.int64) << ROW_BITS
    taken = [
        source.take(pa.array(ordered[start:end] & LAST_ROW))
        for source, (start, end) in zip(sources, pairwise(np.searchsorted(ordered, bounds).tolist()), strict=True)
    ]
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return pa.concat_arrays(taken).take(pa.array(back))
