"""The tables of docs/iceberg.md: what each engine is said to do with each feature."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["DOCUMENT", "cells"]

DOCUMENT = Path(__file__).parents[3] / "docs" / "iceberg.md"


def cells() -> dict[str, dict[str, str]]:
    """Cells by the column's name, by the test that the row names (`test_deletes.py::test_position_deletes`)."""
    found: dict[str, dict[str, str]] = {}
    header: list[str] = []
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if "test" in row:
            header = row
        elif header and len(row) == len(header) and not set(row[0]) <= {"-", ":"}:
            by_name = dict(zip(header, row, strict=True))
            found[by_name["test"].strip("`")] = {name: word(cell) for name, cell in by_name.items()}
        elif not row:
            header = []
    return found


def word(cell: str) -> str:
    """A cell without its notes: `wrong [3]` is `wrong`."""
    return re.sub(r"\s*\[[^\]]*\]", "", cell).strip()
