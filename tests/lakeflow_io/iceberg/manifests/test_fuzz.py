"""Damaged records never make the Avro decoder step outside its buffers, or call decoded what doesn't add up."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakeflow_io.parquet.native.build import find_compiler

FUZZ = Path(__file__).with_name("fuzz.py")


def run(*arguments: str) -> dict[str, int]:
    """How many files ended how, of a run that found nothing wrong."""
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
    """Thousands of damaged records, compressed and not: no report, and most kinds of damage are met."""
    if not sanitizes(tmp_path):
        pytest.skip("the compiler has no sanitizers")

    found = run("--mutations", "10000", "--seed", "20")

    assert sum(found.values()) == 10_000
    assert found["ok"] > 500
    assert found["corrupt"] > 4000


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_nothing_behind_the_callers_memory_is_read() -> None:
    """As compiled for users, with a page that can't be read right behind each file: undamaged ones all decode."""
    found = run("--mutations", "20000", "--seed", "21", "--flags")

    assert sum(found.values()) == 20_000
