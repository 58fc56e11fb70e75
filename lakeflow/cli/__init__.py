"""The command line: one file a group of commands, all of them in `app`."""

from __future__ import annotations

from lakeflow.cli.app import main

__all__ = ["main"]
