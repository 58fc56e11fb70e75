"""What commands print: tables for people, JSON for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lakeflow.jsonable import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["print_json", "print_rows"]


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    click.echo(to_json(value))


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows as a table, as wide as they need where output isn't a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        # Scripts cut columns at tabs; nothing is folded or left out.
        for row in [columns, *rows]:
            click.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)
