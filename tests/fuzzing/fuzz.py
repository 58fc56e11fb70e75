"""Fuzz the compiled decoders under sanitizers: `make fuzz`, or this file with --mutations and --seed.

Real input is damaged by the hundred thousand. A crash, a report of a sanitizer, or something "decoded" that doesn't
add up ends it with a failure.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import chunk_corpus
import manifest_corpus

from lakeflow_io.parquet.native import build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CORPORA: dict[str, Callable[[], bytes]] = {"chunks": chunk_corpus.corpus, "manifests": manifest_corpus.corpus}


def compile_fuzz(folder: Path, flags: Sequence[str]) -> Path:
    """The drivers with all C files of the decoders, as one program.

    Args:
        folder: Where it goes.
        flags: For the compiler, such as sanitizers. None: as it is compiled for users, with guard pages alone.
    """
    compiler = build.find_compiler()
    assert compiler is not None
    made = folder / "fuzz"
    sources = [path for each in (HERE, *build.SOURCES) for path in sorted(each.glob("*.c"))]
    include = [f"-I{each}" for each in (HERE, *build.SOURCES)]
    # Sanitizers can't run before functions are chosen that are compiled for several processors.
    define = ["-DLF_SPARE(bytes)=0", *(["-DLF_CLONES="] if flags else [])]
    options = [*(("-O1", "-g") if flags else ("-O3",)), "-std=c11", *include, *define, *flags]
    subprocess.run([*compiler, *options, "-o", str(made), *map(str, sources)], check=True)
    return made


def fuzz(program: Path, what: str, mutations: int, seed: int) -> dict[str, int]:
    """Run it; how many ended how.

    Args:
        program: From `compile_fuzz`.
        what: One of `CORPORA`.
        mutations: How many are decoded.
        seed: The same one, the same damage.

    Raises:
        subprocess.CalledProcessError: something is wrong; what was said is on standard error.
    """
    corpus = program.with_name(f"{what}.corpus")
    corpus.write_bytes(CORPORA[what]())
    environment = {"ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=0", **os.environ}
    command = [str(program), what, str(corpus), str(seed), str(mutations)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {name: int(count) for count, name in re.findall(r"(\d+) ([a-z ]+)", done.stdout)}


def main() -> int:
    """Build, run all, and say what was met."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mutations", type=int, default=500_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--flags", nargs="*", default=list(SANITIZERS), help="for the compiler; none: just guard pages")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = compile_fuzz(Path(folder), options.flags)
        for what in CORPORA:
            print(what, fuzz(program, what, options.mutations, options.seed), flush=True)  # noqa: T201  (its output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
