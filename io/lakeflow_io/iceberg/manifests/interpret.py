"""`native/avro.c` in Python, for where it isn't compiled: the same program, the same columns, many times the time."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from lakeflow_io.avro.container import long_at
from lakeflow_io.iceberg.manifests import program as p

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["interpreted"]

_RAW = {1: "<b", 4: "<f", 8: "<d"}
_DEPTH = 32


def interpreted(program: p.Program, blocks: Iterator[tuple[int, bytes]]) -> tuple[list[list[Any]], int]:
    """Run a program over all records.

    Returns:
        A list of values for each slot, None for nulls, and how many records there are.

    Raises:
        ValueError, IndexError: a block is damaged.
    """
    machine = _Machine(program)
    for count, records in blocks:
        machine.block(count, records)
    return machine.columns, machine.rows


class _Machine:
    def __init__(self, program: p.Program) -> None:
        self._program = program
        self.columns: list[list[Any]] = [[] for _ in program.slots]
        self.rows = 0
        self._row: list[Any] = []
        self._data, self._at = b"", 0
        self._key = 0
        self._tally: list[int] = []

    def block(self, count: int, records: bytes) -> None:
        if count > len(records):
            raise ValueError(f"{len(records)} bytes are no {count} records")
        self._data, self._at = records, 0
        for _ in range(count):
            self._row = [None] * len(self.columns)
            self._run(0, 0)
            for column, value in zip(self.columns, self._row, strict=True):
                column.append(value)
            self.rows += 1
        if self._at != len(records):
            raise ValueError("a block has more than its records")

    def _long(self) -> int:
        value, self._at = long_at(self._data, self._at)
        return value

    def _bytes(self, size: int) -> bytes:
        end = self._at + size
        if not size >= 0 or end > len(self._data):
            raise ValueError("a value is longer than its block")
        found, self._at = self._data[self._at : end], end
        return found

    def _set_int(self, slot: int, value: int) -> None:
        bits = self._program.slots[slot].width * 8 - 1
        if not -(1 << bits) <= value < 1 << bits:
            raise ValueError(f"{value} is too large")
        self._row[slot] = value

    def _set_raw(self, slot: int) -> None:
        width = self._program.slots[slot].width
        self._row[slot] = struct.unpack(_RAW[width], self._bytes(width))[0]

    def _run(self, at: int, depth: int) -> None:  # noqa: C901, PLR0912, PLR0915  (an instruction a branch)
        words = self._program.words
        if depth > _DEPTH:
            raise ValueError("it is nested too deep")
        while (instruction := words[at]) != p.END:
            one = words[at + 1] if at + 1 < len(words) else 0
            if instruction == p.INT:
                self._set_int(one, self._long())
                at += 2
            elif instruction == p.RAW:
                self._set_raw(one)
                at += 2
            elif instruction == p.TEXT:
                self._row[one] = self._bytes(self._long())
                at += 2
            elif instruction == p.EXACT:
                self._row[one] = self._bytes(words[at + 2])
                at += 3
            elif instruction == p.SKIP_INT:
                self._long()
                at += 1
            elif instruction == p.SKIP_RAW:
                self._bytes(one)
                at += 2
            elif instruction == p.SKIP_TEXT:
                self._bytes(self._long())
                at += 1
            elif instruction == p.UNION:
                branch = self._long()
                if not 0 <= branch < one:
                    raise ValueError(f"a union has no branch {branch}")
                at = words[at + 2 + branch]
            elif instruction == p.JUMP:
                at = one
            elif instruction in (p.ARRAY, p.SKIP_ARRAY, p.MAP):
                self._array(at + 2, depth)
                at = one
            elif instruction == p.LIST:
                self._row[one] = [self._long() for count in self._parts() for _ in range(count)]
                at += 2
            elif instruction == p.KEY:
                self._key = self._long()
                at += 1
            elif instruction in (p.INT_OF, p.RAW_OF, p.TEXT_OF, p.SIZE_OF):
                self._looked_up(instruction, words[at + 2 : at + 2 + 2 * one])
                at += 2 + 2 * one
            elif instruction == p.SIZES:
                self._tally = [0] * one
                at += 2
            else:
                count = words[at + 2]
                self._sum_up(one, words[at + 3 : at + 3 + 3 * count])
                at += 3 + 3 * count

    def _parts(self) -> Iterator[int]:
        while count := self._long():
            if count < 0:  # a part that states its size
                count = -count
                self._long()
            if count > len(self._data) - self._at:
                raise ValueError("an array is longer than its block")
            yield count

    def _array(self, body: int, depth: int) -> None:
        index = 0
        for count in self._parts():
            for _ in range(count):
                self._key = index
                index += 1
                self._run(body, depth + 1)

    def _looked_up(self, instruction: int, table: tuple[int, ...]) -> None:
        slot = dict(zip(table[::2], table[1::2], strict=True)).get(self._key)
        if instruction == p.RAW_OF:
            value: Any = self._bytes(1)[0]
        else:
            value = self._bytes(self._long()) if instruction == p.TEXT_OF else self._long()
        if slot is None:
            return
        if instruction == p.SIZE_OF:
            self._tally[slot] = value
        else:
            self._row[slot] = value

    def _sum_up(self, total: int, table: tuple[int, ...]) -> None:
        sizes = [max(0, size) for size in self._tally]
        for at in range(0, len(table), 3):
            place, start, size = table[at : at + 3]
            self._row[start], self._row[size] = sum(sizes[:place]), sizes[place]
        self._set_int(total, sum(sizes))
