"""Progress on standard error: a bar where a person watches, nothing where a script does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(title: str, total: int, *, show: bool = True) -> Generator[Callable[[int, str], None]]:
    """Show how far a long job is.

    Args:
        title: What is done.
        total: Units in all.
        show: False hides it even on a terminal.

    Yields:
        `advance(units, note)`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not (show and console.is_terminal):
        yield lambda _units, _note: None
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    ]
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total, note="")
        yield lambda units, note: progress.update(task, advance=units, note=note)
