"""One table: its schema, snapshots and metadata, scans of it, appends to it, changes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.branch import Branch
from lakeflow.evolution import SchemaChange
from lakeflow.formats.iceberg import scan_resolved
from lakeflow.origin import ChangesOrigin
from lakeflow.snapshot import Snapshot
from lakeflow.writable import WritableTable
from lakeflow_io.errors import InputError
from lakeflow_io.iceberg.branches import drop_ref, set_ref
from lakeflow_io.iceberg.changes import adding_snapshots, snapshots_between
from lakeflow_io.iceberg.evolve import change_partitions, change_properties
from lakeflow_io.iceberg.refs import MAIN, SnapshotName, require_branch, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from lakeflow.dataframe import DataFrame
    from lakeflow.scan import Scan

__all__ = ["Snapshot", "Table"]


class Table(WritableTable):
    """A table, as it was when it was opened or last written through this object.

    Most are Iceberg's. `lf.open_table` makes one of a folder of Parquet files, too: it is read in the same
    ways, and what needs snapshots or writes raises an `InputError` that says what to do.
    """

    def scan(
        self,
        columns: Sequence[str] | str | None = None,
        where: str | BooleanExpression | None = None,
        snapshot: SnapshotName = None,
    ) -> Scan:
        """A lazy read, pinned to one snapshot.

        Args:
            columns: Names in the wanted order; default all.
            where: `"year >= 2000 and country in ('DE', 'AT')"`, or a pyiceberg expression.
            snapshot: A snapshot's id; the name of a branch or a tag; or a moment, for what was current
                then. Default what is current. A state of the past is read with its own schema, a branch
                with the table's.

        Raises:
            NotFoundError: there is no such column or snapshot.
            InputError: `columns` is empty, or a moment has no time zone.
            FilterError: `where` doesn't parse or doesn't fit.
        """
        return self._format.scan(columns, where, snapshot)

    def changes(
        self,
        since: SnapshotName = None,
        until: SnapshotName = None,
        *,
        columns: Sequence[str] | str | None = None,
        where: str | BooleanExpression | None = None,
        overwrites: Literal["refuse", "expand"] = "refuse",
    ) -> Scan:
        """A lazy read of the rows that came between two snapshots.

        Rows that a compaction wrote anew (a `replace` snapshot) are not among them. Only manifests of
        the snapshots in between are read.

        Args:
            since: A snapshot, branch, tag or moment: what is known already. Default nothing, so that all
                appends since the table was made are read.
            until: Where it ends, included; default what is current.
            columns: As for `scan`.
            where: As for `scan`.
            overwrites: What to do about a snapshot that removes or changes rows. `"expand"` reads all rows of
                the data files that it added, the unchanged ones that were copied with them included, and
                tells nothing of the rows that it removed.

        Raises:
            NotFoundError: `since` did not lead to `until`, or what lies between has expired.
            UnsupportedError: a snapshot removes or changes rows; names it.
            InputError: an argument can't be.
        """
        found = resolve(self._table, self.name, until)
        between: list[IcebergSnapshot] = []
        if found.snapshot is not None:
            between = snapshots_between(self._table, self.name, since, found.snapshot)
        origin = ChangesOrigin(self._table, found.schema, adding_snapshots(self.name, between, overwrites))
        return scan_resolved(origin, self.name, found, columns, where)

    def head(self, n: int = 10) -> DataFrame:
        """The first `n` rows that come, reading no more than it must.

        Raises:
            InputError: `n` is negative or no number.
        """
        return self.scan().limit(n).read(memory=1)

    def branch(self, name: str, snapshot: SnapshotName = None, *, keep: bool = True) -> Branch:
        """Open a branch, which is made where there is none of that name.

            with table.branch("audit") as audit:
                audit.append(rows)
                if audit.scan(where="price < 0").limit(1).read().to_pylist() == []:
                    audit.publish()

        Args:
            name: Its name.
            snapshot: Where a new one begins; default at what is current.
            keep: Whether it is still there after the `with` block, published or not.

        Raises:
            InputError: the name is `main` or a tag's, or the table has no snapshot yet.
            NotFoundError: there is no such snapshot.
            CommitConflictError: other writers kept winning.
        """
        if name == MAIN or name not in self._refreshed().metadata.refs or snapshot is not None:
            set_ref(self._table, self.name, name, "branch", self._snapshot_id(snapshot))
        require_branch(self._table, self.name, name)
        return Branch(self, name, keep=keep)

    def tag(self, name: str, snapshot: SnapshotName = None, *, replace: bool = False) -> Snapshot:
        """Give a snapshot a name, under which it doesn't expire.

        Args:
            name: The tag.
            snapshot: Which; default what is current.
            replace: Move a tag of that name that is there.

        Raises:
            AlreadyExistsError: there is a tag of that name at another snapshot.
            InputError: the name is a branch's, or the table has no snapshot yet.
            NotFoundError: there is no such snapshot.
            CommitConflictError: other writers kept winning.
        """
        self._refreshed()
        snapshot_id = self._snapshot_id(snapshot)
        set_ref(self._table, self.name, name, "tag", snapshot_id, replace=replace)
        return next(each for each in self.snapshots() if each.id == snapshot_id)

    def drop_branch(self, name: str) -> None:
        """Remove a branch; what only it has can be expired from then on.

        Raises:
            NotFoundError: there is none of that name.
            InputError: it is `main`, or a tag.
        """
        self._refreshed()
        drop_ref(self._table, self.name, name, "branch")

    def drop_tag(self, name: str) -> None:
        """Remove a tag; what only it keeps can be expired from then on.

        Raises:
            NotFoundError: there is none of that name.
            InputError: it is a branch.
        """
        self._refreshed()
        drop_ref(self._table, self.name, name, "tag")

    def _snapshot_id(self, wanted: SnapshotName) -> int:
        found = resolve(self._table, self.name, wanted).snapshot
        if found is None:
            raise InputError(f"{self.name} has no snapshot yet that could have a name.", "append to it first.")
        return found.snapshot_id

    def update_schema(self) -> SchemaChange:
        """Change columns: `with table.update_schema() as change: change.add("year", pa.int32())`.

        All steps of a block are one commit; no data file is written again.

        Raises:
            SchemaError: a step can't be; nothing is changed.
            CommitConflictError: other writers kept winning.
        """
        return SchemaChange(self._refreshed(), self.name)

    def update_partitions(self, *, add: Sequence[str] | str = (), drop: Sequence[str] | str = ()) -> None:
        """Partition in another way what is written from now on; files that are there stay as they are.

        Args:
            add: Columns and transforms, as in `create_table`: `["day(ts)"]`.
            drop: Those that are no more wanted, in the same words or by the partitions' names.

        Raises:
            NotFoundError: a column, or a partition to drop, isn't there.
            InputError: a transform doesn't exist or doesn't take its column's type, or is there already.
            CommitConflictError: other writers kept winning.
        """
        added, dropped = ([each] if isinstance(each, str) else list(each) for each in (add, drop))
        change_partitions(self._refreshed(), self.name, added, dropped)

    def set_properties(self, properties: Mapping[str, str | float | None]) -> None:
        """Set table properties; None removes one.

        Raises:
            InputError: a name or a value can't be.
            CommitConflictError: other writers kept winning.
        """
        change_properties(self._refreshed(), self.name, properties)
