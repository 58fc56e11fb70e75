"""The catalog of a table that has none: it refuses what changes the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pyiceberg.catalog.noop import NoopCatalog

from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from pyiceberg.table import Table

__all__ = ["ReadOnlyCatalog", "refuse_read_only"]


class ReadOnlyCatalog(NoopCatalog):
    """What pyiceberg commits to."""

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        _refuse(".".join(table.name()[1:]))


def refuse_read_only(table: Table, name: str) -> None:
    """Refuse to write to a table that was opened without a catalog, before anything is written.

    Raises:
        InputError: it was.
    """
    if isinstance(table.catalog, ReadOnlyCatalog):
        _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise InputError(
        f"{name} was opened from its metadata alone and is read-only.",
        "open it through its catalog to change it: lf.connect(...).table(...).",
    )
