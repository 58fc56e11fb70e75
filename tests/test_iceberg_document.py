"""docs/iceberg.md and the suite that proves it name the same tests; its cells are words with a meaning."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from readers import READERS
from readers.document import DOCUMENT, cells

SUITE = Path(__file__).parent / "interop"


def test_every_test_has_one_row_and_every_row_a_test():
    """Each row names a test that exists, and each test of the suite has one row."""
    there = {
        f"{path.name}::{node.name}"
        for path in SUITE.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }

    named = re.findall(r"`(test_\w+\.py::test_\w+)`", DOCUMENT.read_text(encoding="utf-8"))

    assert sorted(named) == sorted(there)


def test_every_cell_is_a_word_that_the_document_explains():
    """No cell says anything else, and where lakeflow reads nothing its words are quoted."""
    legend = DOCUMENT.read_text(encoding="utf-8").partition("| cell | |")[2].partition("\n\n")[0]
    words = set(re.findall(r"^\| ([^|-]+?) \|", legend, re.MULTILINE))

    for test, row in cells().items():
        assert {row[name] for name in READERS} <= words, test
        assert (row["lakeflow"] in {"no", "wrong", "fails"}) == bool(row["where lakeflow doesn't"]), test


def test_every_note_is_there_and_used():
    """Cells refer to notes by number, and each note is referred to."""
    text = DOCUMENT.read_text(encoding="utf-8")

    used = {int(number) for number in re.findall(r"\[(\d+)\]", text)}

    assert used == {int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)}
