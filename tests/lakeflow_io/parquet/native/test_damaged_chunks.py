"""Damaged chunks, as the reader decodes them: nothing comes back, or an array that holds together."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest


def damaged(data: bytes, luck: random.Random) -> bytes:
    """Bits flipped, bytes set, an end cut off or a part repeated, up to four times."""
    made = bytearray(data)
    for _ in range(luck.randint(1, 4)):
        at = luck.randrange(len(made))
        how = luck.choice(["flip", "set", "cut", "repeat"])
        if how == "flip":
            made[at] ^= 1 << luck.randrange(8)
        elif how == "set":
            made[at] = luck.choice([0, 1, 0x7F, 0x80, 0xFF])
        else:
            made = made[: max(1, at)] + (made[at // 2 : at] if how == "repeat" else b"")
    return bytes(made)


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_damaged_chunks_come_back(codec: str, version: str, written: Any, natively: Any) -> None:
    """Nothing, or an array of the right length whose buffers hold together."""
    luck, rows = random.Random(codec + version), 400
    table = pa.table(
        {
            "i": pa.array(luck.choices([None, 5, 7, 2**40], k=rows), pa.int64()),
            "s": luck.choices([None, "", "text", "longer than thirty-two characters, this"], k=rows),
            "b": luck.choices([None, True, False], k=rows),
            "d": luck.choices([None, Decimal("1.25")], k=rows),
            "n": range(rows),
        }
    )
    delta = {"use_dictionary": ["i", "s"], "column_encoding": {"n": "DELTA_BINARY_PACKED"}}
    file = written(table, compression=codec, data_page_size=200, data_page_version=version, **delta)

    decoded = 0
    for _ in range(2000):
        for array in natively(file, change=lambda data: damaged(data, luck)).values():
            if array is not None:
                decoded += 1
                assert len(array) == rows
                # A damaged value is a value, no error; offsets, lengths and counts of nulls have to be right.
                decimals = pa.types.is_decimal(array.type)
                (array.view(pa.binary()) if pa.types.is_string(array.type) else array).validate(full=not decimals)

    assert 500 < decoded < 5000
