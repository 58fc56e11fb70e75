"""A branch of a table: written to and looked at apart, then published on main."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self

from lakeflow.snapshot import Snapshot
from lakeflow_io.errors import NotFoundError
from lakeflow_io.iceberg.branches import drop_ref, publish
from lakeflow_io.iceberg.refs import MAIN, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from pyiceberg.expressions import BooleanExpression

    from lakeflow.dataframe import DataFrame
    from lakeflow.scan import Scan
    from lakeflow.table import Table

__all__ = ["Branch"]


class Branch:
    """A line of snapshots of its own. Made by `Table.branch`; nobody who reads main sees it.

    In a `with` block it does nothing by itself at the end but, where the branch isn't kept, remove it:
    what isn't published by `publish` isn't published.
    """

    def __init__(self, table: Table, name: str, *, keep: bool) -> None:
        self._table, self.name, self._keep = table, name, keep

    def __repr__(self) -> str:
        return f"Branch({self.name!r} of {self._table.name})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            with suppress(NotFoundError):  # somebody was faster
                self.drop()

    @property
    def snapshot(self) -> Snapshot:
        """The branch's newest snapshot.

        Raises:
            NotFoundError: the branch is gone.
        """
        found = resolve(self._table.iceberg, self._table.name, self.name).snapshot
        assert found is not None  # noqa: S101  (only main can be without one)
        return Snapshot.of(found)

    def append(self, data: Any, *, run_id: str | None = None, memory: int | str | None = None) -> Snapshot:
        """Add rows to the branch, as `Table.append` does to main.

        Raises:
            NotFoundError: the branch is gone.
            LakeflowError: as from `Table.append`, and so for the verbs below.
        """
        return self._table.append(data, run_id=run_id, branch=self.name, memory=memory)

    def overwrite(
        self,
        data: Any,
        where: str | BooleanExpression | None = None,
        *,
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot:
        """Replace rows of the branch, as `Table.overwrite` does main's."""
        return self._table.overwrite(data, where, run_id=run_id, branch=self.name, memory=memory)

    def overwrite_partitions(
        self, data: Any, *, run_id: str | None = None, memory: int | str | None = None
    ) -> Snapshot | None:
        """Replace partitions of the branch, as `Table.overwrite_partitions` does main's."""
        return self._table.overwrite_partitions(data, run_id=run_id, branch=self.name, memory=memory)

    def delete(
        self,
        where: str | BooleanExpression,
        *,
        mode: Literal["copy-on-write", "merge-on-read"] = "copy-on-write",
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Delete rows of the branch, as `Table.delete` does main's."""
        return self._table.delete(where, mode=mode, run_id=run_id, branch=self.name, memory=memory)

    def upsert(
        self, data: Any, key: Sequence[str] | str, *, run_id: str | None = None, memory: int | str | None = None
    ) -> Snapshot | None:
        """Add rows to the branch in place of those with the same key, as `Table.upsert` does to main."""
        return self._table.upsert(data, key, run_id=run_id, branch=self.name, memory=memory)

    def merge(
        self,
        data: Any,
        key: Sequence[str] | str,
        *,
        matched: Literal["update", "delete", "keep"] = "update",
        not_matched: Literal["insert", "ignore"] = "insert",
        not_matched_by_source: Literal["delete", "keep"] = "keep",
        run_id: str | None = None,
        memory: int | str | None = None,
    ) -> Snapshot | None:
        """Join rows with the branch's by key, as `Table.merge` does with main's."""
        return self._table.merge(
            data,
            key,
            matched=matched,
            not_matched=not_matched,
            not_matched_by_source=not_matched_by_source,
            run_id=run_id,
            branch=self.name,
            memory=memory,
        )

    def scan(self, columns: Sequence[str] | str | None = None, where: str | BooleanExpression | None = None) -> Scan:
        """A lazy read of the branch as it is now, as `Table.scan`.

        Raises:
            NotFoundError: the branch is gone, or there is no such column.
            FilterError: `where` doesn't parse or doesn't fit.
        """
        return self._table.scan(columns, where, snapshot=self.name)

    def head(self, n: int = 10) -> DataFrame:
        """The first `n` rows that come.

        Raises:
            InputError: `n` is negative or no number.
        """
        return self.scan().limit(n).read(memory=1)

    def publish(self) -> Snapshot:
        """Let main have all that the branch has, in one commit; a second call finds nothing to do.

        Where main is where the branch began, it moves to the branch's newest snapshot. Where it has
        gone on, the branch's appends are repeated on top of it, with the same data files.

        Returns:
            The snapshot that is main's then.

        Raises:
            CommitConflictError: main has gone on, and the branch has something else than appends; or other
                writers kept winning. Nothing is published.
            NotFoundError: the branch is gone.
        """
        publish(self._table.refresh().iceberg, self._table.name, self.name)
        found = resolve(self._table.iceberg, self._table.name, MAIN).snapshot
        assert found is not None  # noqa: S101  (a branch has a snapshot, and main has all of its)
        return Snapshot.of(found)

    def drop(self) -> None:
        """Remove the branch; snapshots that were not published can be expired from then on.

        Raises:
            NotFoundError: it is gone already.
        """
        drop_ref(self._table.refresh().iceberg, self._table.name, self.name, "branch")
