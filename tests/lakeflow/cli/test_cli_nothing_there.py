"""Commands that only look leave nothing behind where there is nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_line import lakeflow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "arguments", [["tables"], ["tables", "--json"], ["tables", "kg"], ["head", "kg.t"], ["describe", "kg.t"]], ids=str
)
@pytest.mark.parametrize("home", [None, "elsewhere"])
def test_looking_makes_no_lakehouse(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    home: str | None,
) -> None:
    """In an empty folder: exit code 2, a sentence that there is no lakehouse, and the folder stays empty."""
    monkeypatch.chdir(tmp_path)
    if home:
        monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path / home))

    code, out, err = lakeflow(capsys, *arguments)

    assert (code, out) == (2, "")
    assert "no lakehouse" in err.lower()
    assert (home or "lakehouse") in err
    assert list(tmp_path.iterdir()) == []


def test_a_lakehouse_without_tables_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once it was made, an empty one is no error."""
    import lakeflow as lf

    monkeypatch.chdir(tmp_path)
    lf.connect()

    code, _, err = lakeflow(capsys, "tables")

    assert code == 0
    assert "No tables yet" in err


@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ["bogus", "", "Threads", "tcp:/127.0.0.1"])
def test_a_demo_on_an_unknown_engine_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    """Exit code 2 before any table is made, with the engines that there are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path / "home"))

    code, _, err = lakeflow(capsys, "demo", "--engine", engine, "--country", "LI")

    assert code == 2
    assert repr(engine) in err
    assert "threads" in err
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.timeout(240)
def test_the_program_itself_makes_nothing(tmp_path: Path) -> None:
    """The same for the installed entry point, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "LAKEFLOW_HOME"}

    done = subprocess.run(
        [sys.executable, "-c", "from lakeflow.cli import main; main()", "tables"],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip

    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False)
    assert list(tmp_path.iterdir()) == []
