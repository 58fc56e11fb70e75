"""Compile the decoders of Parquet and of manifests, and what finds keys.

`python io/lakeflow_io/parquet/native/build.py`; the build hook calls it, too.

It needs nothing but a C compiler: the library holds no Python object, so one build serves every
version of Python.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["LIBRARY", "SOURCES", "build", "find_compiler"]

_FOLDER = Path(__file__).parent
_LAYER = _FOLDER.parents[1]
SOURCES = (_FOLDER, _LAYER / "iceberg" / "manifests" / "native", _LAYER / "keyed" / "native")
"""Folders of C files."""
LIBRARY = _FOLDER / "_decoder.so"
# zig's cc traps on what the C standard leaves open unless it is told not to; gcc takes the option as well.
_FLAGS = ("-O3", "-std=c11", "-shared", "-fPIC", "-Wall", "-Wextra", "-g0", "-fno-sanitize=undefined")

# It also compiles for the processor at hand, which needn't be the one that runs a wheel.
_ZIG_FLAGS = ("-mcpu=baseline",)


def find_compiler() -> list[str] | None:
    """The command of a C compiler: `$CC`, the system's, or the one in the package ziglang; None without any."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    found = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    if found:
        return [found]
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else None


def build(flags: tuple[str, ...] = (), target: Path = LIBRARY) -> Path:
    """Compile all C files into one shared library.

    Args:
        flags: More options for the compiler, such as sanitizers.
        target: Where to put it; replaced at once, so that a running process keeps the old one.

    Raises:
        RuntimeError: there is no compiler, or it fails; carries what it said.
    """
    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("There is no C compiler: install gcc or clang, or `pip install ziglang`.")
    sources = sorted(str(path) for folder in SOURCES for path in folder.glob("*.c"))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        made = Path(folder) / target.name
        zig = _ZIG_FLAGS if any("zig" in Path(word).name for word in compiler) else ()
        command = [*compiler, *_FLAGS, *zig, *flags, "-o", str(made), *sources]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own arguments)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        made.replace(target)
    return target


if __name__ == "__main__":
    print(build(tuple(sys.argv[1:])))  # noqa: T201  (says where it is)
