"""What goes from a table when a run's rows come: nothing, rows that match, all, or the partitions they lie in.

It is planned on the snapshot that the table had when the run was planned, whenever it is committed: what others
have added since then, the run hasn't seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.budget import default_budget
from lakeflow_io.errors import CommitConflictError, InputError
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.overwrite import find_partitions, find_whole_table
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.iceberg.remove import find_rows_where, write_rest
from lakeflow_io.iceberg.stage import Stager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table import Table

    from lakeflow_io.iceberg.pack import PackedManifest
    from lakeflow_io.iceberg.write import Writer

__all__ = ["Mode", "Replacing", "check_mode"]

Mode = Literal["append", "overwrite", "overwrite-partitions"]
_MODES = ("append", "overwrite", "overwrite-partitions")


def check_mode(mode: Any, where: Any = None) -> None:
    """Refuse what isn't a mode.

    Raises:
        InputError: it isn't, or `where` is given with another mode than "overwrite" or isn't text.
    """
    if mode not in _MODES:
        raise InputError(f"mode={mode!r} is unknown.", "it is " + " or ".join(repr(each) for each in _MODES) + ".")
    if where is not None and (mode != "overwrite" or not isinstance(where, str)):
        raise InputError(
            f"where={where!r} can't be given with mode={mode!r}.", 'give mode="overwrite" and a filter as text.'
        )


class Replacing:
    """The change that a run makes to a table.

    Args:
        table: As it is now.
        name: For messages.
        files: How the names of files begin that are written here: rows that stay of files of which some go.
    """

    def __init__(self, table: Table, name: str, files: str) -> None:
        self._table, self._name, self._files = table, name, files
        self._rest: Writer | None = None

    def change(
        self,
        mode: Mode,
        where: str | None,
        planned_on: int | None,
        staged: Sequence[dict[str, Any]],
        packed: Sequence[PackedManifest],
    ) -> Change:
        """Find what goes, and write what stays of it.

        Args:
            mode: Of the run.
            where: Which rows go, of an overwrite; None for all.
            planned_on: The snapshot that the table had then.
            staged: Files that come.
            packed: Manifests of more.

        Raises:
            CommitConflictError: that snapshot has expired.
            FilterError: `where` doesn't fit the table.
        """
        change = Change("append", added=list(staged), packed=packed)
        if mode == "append":
            return change
        table, name, memory = self._table, self._name, default_budget() // 2
        if planned_on is not None and table.metadata.snapshot_by_id(planned_on) is None:
            raise CommitConflictError(
                f"Cannot commit to {name}: snapshot {planned_on}, on which the run was planned, has expired.",
                "others have committed since; run again with another run id, which sees what they did.",
            )
        change = replace(change, operation="overwrite", planned_on=planned_on)
        if mode == "overwrite" and where is None:
            removal, conflicts = find_whole_table(table, name, planned_on)
            return replace(change, removed=removal.removed, conflicts=conflicts, rows_were_read=False)
        if mode == "overwrite":
            predicate = parse_filter(where or "", table.schema(), name)
            removal, conflicts = find_rows_where(table, name, planned_on, predicate, memory)
        else:
            partitions = {tuple(file["partition"]) for file in staged}
            partitions |= {tuple(values) for manifest in packed for values, *_ in manifest.partitions}
            if not partitions:
                return replace(change, operation="append", planned_on=None)
            removal, conflicts = find_partitions(table, name, planned_on, table.spec(), partitions, memory)
        self._rest = Stager.for_table(table, name).writer(self._files, memory)
        write_rest(removal, self._rest, memory)
        added = [*change.added, *self._rest.close()]
        return replace(change, added=added, removed=removal.removed, conflicts=conflicts)

    def discard(self) -> None:
        """Delete what was written here: for when no snapshot names it."""
        if self._rest is not None:
            self._rest.discard()
