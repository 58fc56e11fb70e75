"""The command line: `lakeflow tables | describe | head | cache | serve | demo`."""

from __future__ import annotations

from lakeflow.cli.app import main

__all__ = ["main"]
