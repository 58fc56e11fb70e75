"""The build hook: compiles the decoders of Parquet and of manifests, and what finds keys, into the wheel.

A machine without a C compiler gets one from a package for the time of the build. Where even that
fails, the wheel is built without them: lakeflow decodes Parquet with pyarrow, and manifests in Python,
and looks keys up with numpy.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SCRIPT = Path(__file__).parent / "io/lakeflow_io/parquet/native/build.py"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("lakeflow_native_build", _SCRIPT)
    assert spec is not None and spec.loader is not None  # noqa: PT018, S101  (it is beside us)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class NativeDecoder(BuildHookInterface[Any]):
    """Named in pyproject.toml as the hook `custom`."""

    def dependencies(self) -> list[str]:
        """A compiler, where the machine has none."""
        return [] if _script().find_compiler() else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (hatchling's signature)
        """Compile before the wheel's files are collected."""
        if self.target_name != "wheel":
            return
        try:
            library = _script().build()
        except RuntimeError as error:
            self.app.display_warning(f"lakeflow is built without its compiled decoder: {error}")
            return
        build_data["artifacts"].append(str(library.relative_to(self.root)))
        build_data["pure_python"] = False
        # No Python version in the tag: the library knows nothing of Python.
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
