"""Names that become names of files."""

from __future__ import annotations

import re

from lakeflow_io.errors import InputError

__all__ = ["check_run_id"]

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_run_id(run_id: str) -> str:
    """A run id names a folder and files, so it is a plain name.

    Raises:
        InputError: it isn't.
    """
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise InputError(
            f"{run_id!r} can't be a run id.", "use letters, digits, '_', '.' and '-', 128 at most, no leading '.'."
        )
    return run_id
