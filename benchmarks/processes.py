"""Fresh processes for contenders: which Python, how long, what went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contenders import PEERS_VENV

__all__ = ["python_for", "run_process"]

_ROOT = Path(__file__).parents[1]
_PEERS_PYTHON = Path(sys.prefix) / "bench-peers" / "bin" / "python"
_TIMEOUT_SECONDS = 600
_ERROR_CHARACTERS = 300


def python_for(contender: str) -> str:
    """The interpreter whose environment has a contender."""
    return str(_PEERS_PYTHON) if contender in PEERS_VENV and _PEERS_PYTHON.exists() else sys.executable


def run_process(python: str, arguments: list[str], task: dict[str, Any]) -> dict[str, Any]:
    """Run `python -m arguments...` with a task on its input; what it printed, or `{"error": text}`.

    No process finds what an earlier one remembered.
    """
    with tempfile.TemporaryDirectory() as cache:
        return _run(python, arguments, task, cache)


def _run(python: str, arguments: list[str], task: dict[str, Any], cache: str) -> dict[str, Any]:
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [python, "-m", *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": cache},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, complained = process.communicate(json.dumps(task), _TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {_TIMEOUT_SECONDS} s"}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # a contender may have workers of its own
            process.communicate()
    # A result is the last thing that is printed: pyarrow 26 now and then aborts afterwards, while Python ends.
    try:
        found = json.loads(printed.splitlines()[-1])
    except (IndexError, ValueError):
        found = None
    if isinstance(found, dict):
        return found
    lines = complained.strip().splitlines() or [f"ended with status {process.returncode}, without a result"]
    return {"error": lines[-1][:_ERROR_CHARACTERS]}
