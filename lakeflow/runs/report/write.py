"""A run's page, written to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lakeflow.runs.report.page import render_report
from lakeflow.runs.report.record import read_record
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from lakeflow.runs.state.journal import Journal

__all__ = ["write_report"]


def write_report(journal: Journal, file: str | os.PathLike[str] | None = None) -> Path:
    """Write the page of a run that is over, or of one that runs.

    Args:
        journal: The run's folder.
        file: Where; default `<run id>.html` in the current folder. One that is there is replaced.

    Returns:
        The file's path.

    Raises:
        InputError: it can't be written there.
        NotFoundError: there is no such run.
        CorruptFileError, StoreError: its folder can't be read.
    """
    path = Path(f"{journal.run_id}.html" if file is None else file).absolute()
    page = render_report(read_record(journal))
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise InputError(f"The report can't be written to {path}: {error.strerror}.", "name another file.") from error
    return path
