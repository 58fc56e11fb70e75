"""Damaged chunks never make the decoder step outside its buffers, or call decoded what doesn't add up."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeflow_io.parquet.native.build import find_compiler

FUZZ = Path(__file__).with_name("fuzz.py")


def run(*arguments: str) -> dict[str, int]:
    """How many chunks ended how, of a run that found nothing wrong."""
    done = subprocess.run([sys.executable, str(FUZZ), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: int(count) for count, name in re.findall(r"(\d+) ([a-z ]+)", done.stdout)}


def sanitizes(folder: Path) -> bool:
    """Whether the compiler comes with the sanitizers' libraries, and they run here."""
    source, program = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    command = [*(find_compiler() or ["false"]), "-fsanitize=address,undefined", "-o", str(program), str(source)]
    return all(subprocess.run(each, capture_output=True, check=False).returncode == 0 for each in (command, [program]))


def test_under_sanitizers(tmp_path: Path) -> None:
    """Thousands of damaged chunks of every type, encoding and codec: no report, and most kinds of damage are met."""
    if not sanitizes(tmp_path):
        pytest.skip("the compiler has no sanitizers")

    found = run("--mutations", "8000", "--seed", "20")

    assert sum(found.values()) == 8000
    assert found["ok"] > 500
    assert found["corrupt"] > 4000
    assert found["unsupported"] > 100


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_nothing_behind_the_callers_memory_is_read() -> None:
    """As compiled for users, with a page that can't be read right behind each chunk: undamaged ones all decode."""
    found = run("--mutations", "20000", "--seed", "21", "--flags")

    assert sum(found.values()) == 20_000


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
    """As the reader calls it, too: nothing, or an array of the right length whose buffers hold together."""
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
