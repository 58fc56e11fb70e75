"""Protocol Buffers as ORC's metadata has them: numbered fields of numbers and bytes, without a schema.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

__all__ = ["Message"]

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_MOST_BITS = 63


class Message:
    """One message's fields, by number.

    Args:
        data: Its bytes.

    Raises:
        ValueError: they aren't a message.
    """

    def __init__(self, data: memoryview) -> None:
        self._numbers: dict[int, int] = {}
        self._parts: dict[int, list[memoryview]] = {}
        at = 0
        while at < len(data):
            key, at = _varint(data, at)
            field, kind = key >> 3, key & 7
            if kind == _VARINT:
                self._numbers[field], at = _varint(data, at)
                continue
            if kind == _BYTES:
                length, at = _varint(data, at)
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                length = 8 if kind == _EIGHT_BYTES else 4
            else:
                raise ValueError(f"a field is of the unknown kind {kind}")
            if at + length > len(data):
                raise ValueError("it is cut")
            if kind == _BYTES:
                self._parts.setdefault(field, []).append(data[at : at + length])
            at += length

    def number(self, field: int) -> int:
        """An unsigned number, the last one given; 0 where there is none."""
        return self._numbers.get(field, 0)

    def parts(self, field: int) -> list[memoryview]:
        """All texts or messages of a repeated field."""
        return self._parts.get(field, [])


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > _MOST_BITS:
            raise ValueError("a number is cut, or too long")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004  (the last byte of a number has no high bit)
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
