"""Changes of a table's columns, collected in a `with` block and committed together at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from lakeflow_io.errors import InputError, NotFoundError, SchemaError
from lakeflow_io.iceberg.evolve import Evolving, Step, change_schema, refuse_partition_name
from lakeflow_io.iceberg.internals import fresh_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pyiceberg.table import Table as IcebergTable

__all__ = ["SchemaChange"]

_DEFAULTS_SINCE = 3  # the format version in which columns may have defaults

Path = str | Sequence[str]


class SchemaChange:
    """Made by `Table.update_schema`. Each step is checked when it is named; a block that raises changes nothing.

    A column is named as in `where`: a field of a struct `"address.city"`, of a struct in a list
    `"items.element.price"`, in a map `"prices.value.net"`; or, where a name has a dot, as a list of names.
    """

    def __init__(self, table: IcebergTable, name: str) -> None:
        self._table, self._name = table, name
        self._steps: list[Step] = []
        self._now = Evolving.of(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._steps:
            change_schema(self._table, self._name, self._steps)

    def add(
        self, column: Path, kind: pa.DataType, *, doc: str | None = None, required: bool = False, default: Any = None
    ) -> SchemaChange:
        """A new column, or a new field of a struct, at the end; null, or `default`, in rows that are there.

        Args:
            column: Its name; a dot leads into a struct.
            kind: Its type.
            doc: What it means.
            required: It can hold no null, for which it needs a default.
            default: What rows have that were written without it; in tables of format version 3 only.

        Raises:
            SchemaError: it is there already, or can't be.
            NotFoundError: the struct isn't there.
        """
        names = self._names(column)
        parent = ".".join(names[:-1])
        if parent:
            self._there(parent)
        if not isinstance(kind, pa.DataType):
            raise InputError(f"The type of {'.'.join(names)} is {kind!r}.", "give a pyarrow type, such as pa.int64().")
        version = self._table.metadata.format_version
        if default is not None and version < _DEFAULTS_SINCE:
            raise InputError(
                f"{self._name} is of format version {version}, in which columns have no defaults.",
                "add the column without one: rows that are there have null.",
            )
        made = fresh_schema(pa.schema([pa.field(names[-1], kind)]), version).fields[0].field_type
        refuse_partition_name(self._table, self._name, ".".join(names), None)
        return self._step(
            f"add the column {'.'.join(names)!r}",
            lambda update: update.add_column(names, made, doc=doc, required=required, default_value=default),
        )

    def drop(self, column: Path) -> SchemaChange:
        """Take a column out. Files keep its values, older snapshots show them; a new one of its name is another.

        Raises:
            NotFoundError: it isn't there.
            SchemaError: the table is partitioned or sorted by it.
        """
        path = self._there(column)
        return self._step(f"drop the column {path!r}", lambda update: update.delete_column(path))

    def rename(self, column: Path, to: str) -> SchemaChange:
        """Call a column otherwise. `to` is its own name alone, without the struct that it is in.

        Raises:
            NotFoundError: it isn't there.
            SchemaError: the name is taken, by a partition maybe.
        """
        path = self._there(column)
        if not isinstance(to, str) or not to:
            raise InputError(f"{to!r} can't be a column's name.", "give a text.")
        made = ".".join((*path.split(".")[:-1], to))
        refuse_partition_name(self._table, self._name, made, self._now.schema.find_field(path).field_id)
        return self._step(f"rename the column {path!r}", lambda update: update.rename_column(path, to))

    def promote(self, column: Path, kind: pa.DataType) -> SchemaChange:
        """Widen a column's type: int32 to int64, float32 to float64, a decimal to more digits.

        Raises:
            NotFoundError: it isn't there.
            SchemaError: values of the old type aren't values of the new.
        """
        path = self._there(column)
        if not isinstance(kind, pa.DataType):
            raise InputError(f"The type of {path} is {kind!r}.", "give a pyarrow type, such as pa.int64().")
        made = fresh_schema(pa.schema([pa.field("x", kind)]), self._table.metadata.format_version).fields[0].field_type
        scale = getattr(made, "scale", None)
        if scale is not None and getattr(self._now.schema.find_type(path), "scale", scale) != scale:
            raise SchemaError(  # pyiceberg would take it
                f"Cannot make the column {path!r} of {self._name} {kind}: it has another scale.",
                "keep the digits behind the point, and give more before it.",
            )
        return self._step(
            f"make the column {path!r} {kind}", lambda update: update.update_column(tuple(path.split(".")), made)
        )

    def optional(self, column: Path) -> SchemaChange:
        """Let a required column hold nulls from now on.

        Raises:
            NotFoundError: it isn't there.
        """
        path = self._there(column)
        return self._step(f"make the column {path!r} optional", lambda update: update.make_column_optional(path))

    def move(
        self, column: Path, *, first: bool = False, before: Path | None = None, after: Path | None = None
    ) -> SchemaChange:
        """Put a column, or a field within its struct, elsewhere.

        Raises:
            NotFoundError: it, or the other one, isn't there.
            InputError: not exactly one place is given.
            SchemaError: the two aren't in one struct.
        """
        path = self._there(column)
        if first + (before is not None) + (after is not None) != 1:
            raise InputError(
                f"The column {path!r} can't be moved there.", "give one of first=True, before= and after=."
            )
        if first:
            return self._step(f"move the column {path!r}", lambda update: update.move_first(path))
        other = self._there(before if before is not None else after or "")
        verb = "move_before" if before is not None else "move_after"
        return self._step(f"move the column {path!r}", lambda update: getattr(update, verb)(path, other))

    def _step(self, action: str, change: Callable[[Any], object]) -> SchemaChange:
        step = Step(action, change)
        self._now = self._now.after(self._table, self._name, step)
        self._steps.append(step)
        return self

    def _there(self, column: Path) -> str:
        """The name of a column that is there by now."""
        path = column if isinstance(column, str) else ".".join(self._names(column))
        known = list(self._now.schema.column_names)
        if path not in known:
            raise NotFoundError.among("column", path, self._name, known)
        return path

    def _names(self, column: Path) -> tuple[str, ...]:
        whole = isinstance(column, str) or not isinstance(column, Sequence)
        names = tuple(str(column).split(".")) if whole else tuple(column)
        if not isinstance(column, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
            raise InputError(f"{column!r} can't be a column's name.", "give a text.")
        return names
