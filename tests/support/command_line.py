"""`lakeflow` as from a shell, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.cli import main

if TYPE_CHECKING:
    import pytest

__all__ = ["lakeflow"]


def lakeflow(capture: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; its exit code, standard output and standard error."""
    code = 0
    try:
        main(list(arguments))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    said = capture.readouterr()
    return code, said.out, said.err
