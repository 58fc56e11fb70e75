"""Damaged input never makes a compiled decoder step outside its buffers, or call decoded what doesn't add up."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from fuzz import SANITIZERS, compile_fuzz, fuzz

from lakeflow_io.parquet.native.build import find_compiler

if TYPE_CHECKING:
    from pathlib import Path


def sanitizes(folder: Path) -> bool:
    """Whether the compiler comes with the sanitizers' libraries, and they run here."""
    source, program = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    command = [*(find_compiler() or ["false"]), *SANITIZERS, "-o", str(program), str(source)]
    return all(subprocess.run(each, capture_output=True, check=False).returncode == 0 for each in (command, [program]))


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that tells of any step outside."""
    folder = tmp_path_factory.mktemp("sanitized")
    if not sanitizes(folder):
        pytest.skip("the compiler has no sanitizers")
    return compile_fuzz(folder, SANITIZERS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it is compiled for users."""
    if find_compiler() is None:
        pytest.skip("there is no C compiler")
    return compile_fuzz(tmp_path_factory.mktemp("plain"), ())


def test_chunks_under_sanitizers(sanitized: Path) -> None:
    """Thousands of damaged chunks of every type, encoding and codec: no report, and most kinds of damage are met."""
    found = fuzz(sanitized, "chunks", 8000, 20)

    assert sum(found.values()) == 8000
    assert found["ok"] > 500
    assert found["corrupt"] > 4000
    assert found["unsupported"] > 100


def test_manifests_under_sanitizers(sanitized: Path) -> None:
    """The same for records, compressed and not."""
    found = fuzz(sanitized, "manifests", 10_000, 20)

    assert sum(found.values()) == 10_000
    assert found["ok"] > 500
    assert found["corrupt"] > 4000


@pytest.mark.parametrize("what", ["chunks", "manifests"])
def test_nothing_behind_the_callers_memory_is_read(plain: Path, what: str) -> None:
    """With a page that can't be read right behind each input: undamaged ones all decode."""
    found = fuzz(plain, what, 20_000, 21)

    assert sum(found.values()) == 20_000
