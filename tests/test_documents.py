"""What the documents show is run here: every block of Python, every make target they name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from forked import run_script

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *(f"docs/{each.name}" for each in (ROOT / "docs").glob("*.md")),
]


def _blocks(language: str) -> list:
    found = []
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)):
            found.append(pytest.param(block, id=f"{name}-{language}-{number}"))
    return found


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_blocks_run_alone(block, tmp_path):
    """A block of Python in a document runs as it stands, and prints what its comments say."""
    script = tmp_path / "block.py"
    script.write_text(block, encoding="utf-8")

    code, printed, errors = run_script(script)

    assert code == 0, errors
    for said in re.findall(r"print\(.*?\)\s+# (.*)", block):
        assert said in printed


@pytest.mark.parametrize("block", _blocks("sh"))
def test_shell_blocks_name_targets_that_exist(block):
    """A make target in a document is one that the Makefile has."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    named = re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)

    assert set(named) <= targets


def test_shell_shows_the_commands_that_the_readme_names():
    """Every `lakeflow ...` command that the README lists answers to --help."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"`lakeflow (tables \|.*?)`", text)[1].split(" | ")

    for command in listed:
        done = subprocess.run(
            [sys.executable, "-m", "lakeflow", *command.split(), "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize("example", sorted(path.parent.name for path in (ROOT / "examples").glob("*/main.py")))
def test_examples_run_alone_and_twice(example, tmp_path):
    """An example runs in an empty folder, and again in the same one."""
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / example / "main.py")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*DOCUMENTS, "CHANGELOG.md"])
def test_no_document_holds_a_conflict(name):
    """Each document was merged to the end."""
    marked = re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)

    assert marked == []
