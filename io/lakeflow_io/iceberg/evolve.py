"""A table that changes: its columns, how it is partitioned, its properties. No data file is touched."""

from __future__ import annotations

from dataclasses import dataclass
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError, NotFoundError, SchemaError
from lakeflow_io.iceberg.internals import evolved_schema, spec_change
from lakeflow_io.iceberg.layout import parse_term, partition_name, term_of
from lakeflow_io.iceberg.mapping import mapping_updates
from lakeflow_io.iceberg.update import Update, change_table

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

__all__ = ["Evolving", "Step", "change_partitions", "change_properties", "change_schema", "refuse_partition_name"]


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a schema."""

    action: str
    """For messages, such as `drop the column 'x'`."""
    change: Callable[[Any], object]
    """Is handed pyiceberg's `UpdateSchema`, and sees the columns as steps before have left them."""


@dataclass(frozen=True, slots=True)
class Evolving:
    """A table's schema, after some steps."""

    schema: Schema
    last_column_id: int
    """The greatest that any column has ever had."""

    @classmethod
    def of(cls, table: Table) -> Evolving:
        """As it is."""
        return cls(table.schema(), table.metadata.last_column_id)

    def after(self, table: Table, name: str, step: Step) -> Evolving:
        """What a step makes of it.

        Raises:
            SchemaError: it can't be; says why.
        """
        from pyiceberg.exceptions import ResolveError, ValidationError

        try:
            made = Evolving(*evolved_schema(table, self.schema, self.last_column_id, step.change))
        except (ValueError, ValidationError, ResolveError, NotImplementedError, TypeError) as error:
            raise SchemaError(
                f"Cannot {step.action} of {name}: {str(error).splitlines()[0]}",
                "Iceberg lets columns be added, dropped, renamed, moved, widened (int to long, float to double, "
                "a decimal to more digits) and made optional.",
            ) from error
        _refuse_drops(table, name, self.schema, made.schema)
        return made


def change_schema(table: Table, name: str, steps: Sequence[Step]) -> None:
    """Commit `steps`, all at once, to the schema that the table has by then.

    Raises:
        SchemaError: one can't be, now that another writer has changed the schema; nothing is changed.
        CommitConflictError: other writers kept winning.
    """
    from pyiceberg.table.update import AddSchemaUpdate, AssertCurrentSchemaId, SetCurrentSchemaUpdate

    def make(seen: Table) -> Update | None:
        evolving, current = Evolving.of(seen), seen.schema()
        for step in steps:
            evolving = evolving.after(seen, name, step)
        schema = evolving.schema
        known = next((each.schema_id for each in seen.metadata.schemas if each == schema), None)
        if known == current.schema_id:
            return None
        added = [] if known is not None else [AddSchemaUpdate(schema=schema)]
        chosen = SetCurrentSchemaUpdate.model_validate({"schema-id": -1 if known is None else known})
        return Update(
            (*added, chosen, *mapping_updates(seen, schema)),
            (AssertCurrentSchemaId.model_validate({"current-schema-id": current.schema_id}),),
            lambda now: now.schema().fields == schema.fields,
        )

    change_table(table, f"change the schema of {name}", make)


def refuse_partition_name(table: Table, name: str, column: str, column_id: int | None) -> None:
    """A partition keeps the name that its column had, which no other column gets.

    Args:
        table: As it is.
        name: Its name, for messages.
        column: What a column is to be called.
        column_id: Which column; None for a new one.

    Raises:
        SchemaError: a partition of the table, today's or a former one, is called so.
    """
    for spec in table.specs().values():
        for field in spec.fields:
            its_own = field.source_id == column_id and str(field.transform) in ("identity", "void")
            if field.name == column and not its_own:
                raise SchemaError(
                    f"No column of {name} can be called {column!r}: a partition of it is, or was.",
                    "give another name; a partition keeps the name that its column had.",
                )


def _refuse_drops(table: Table, name: str, before: Schema, schema: Schema) -> None:
    """A column that files are laid out by stays, for readers look for it."""
    from pyiceberg.schema import index_by_id

    dropped = index_by_id(before).keys() - index_by_id(schema).keys()
    for what, fields in (("partitioned", table.spec().fields), ("sorted", table.sort_order().fields)):
        for part in fields:
            if part.source_id not in dropped:
                continue
            # Format version 1 keeps what was dropped of the partitioning in the spec, as void.
            how = "was once" if str(part.transform) == "void" else "is"
            raise SchemaError(
                f"The column {before.find_column_name(part.source_id)!r} can't be dropped: {name} {how} {what} by it.",
                "call update_partitions(drop=[...]) first." if how == "is" and what == "partitioned" else "keep it.",
            )


def change_partitions(table: Table, name: str, add: Sequence[str], drop: Sequence[str]) -> None:
    """Partition what is written from now on in another way; files that are there stay as they are.

    Args:
        table: Refreshed.
        name: Its name, for messages.
        add: Columns and transforms, as `create_table` takes them.
        drop: Those that are there, in the same words, or by the names that partitions have. What is added, too, stays.

    Raises:
        NotFoundError: a column, or a partition to drop, isn't there.
        InputError: a term is no transform, or is there already.
        CommitConflictError: other writers kept winning.
    """

    def make(seen: Table) -> Update | None:
        gone = dict.fromkeys(_named(seen, name, term) for term in drop)
        added = dict(_added(seen, name, add, gone))
        steps: list[Callable[[Any], object]] = [
            methodcaller("remove_field", part) for part in gone if part not in added
        ]
        steps += [step for part, step in added.items() if part not in gone]
        spec, updates, requirements = spec_change(seen, steps)
        if not updates:
            return None
        return Update(updates, requirements, lambda now: now.spec().fields == spec.fields)

    change_table(table, f"change the partitioning of {name}", make)


def _named(table: Table, name: str, term: str) -> str:
    plain = "".join(str(term).lower().split())
    fields = [part for part in table.spec().fields if str(part.transform) != "void"]
    for part in fields:
        if term == part.name or plain == "".join(term_of(table.schema(), part).lower().split()):
            return str(part.name)
    raise NotFoundError.among("partition", term, name, [term_of(table.schema(), part) for part in fields])


def _added(
    table: Table, name: str, terms: Sequence[str], gone: Container[str]
) -> Iterator[tuple[str, Callable[[Any], object]]]:
    schema, taken = table.schema(), set(table.schema().column_names)
    for each in table.metadata.specs().values():
        taken |= {part.name for part in each.fields}
    known = {(p.source_id, str(p.transform)): p.name for s in table.metadata.specs().values() for p in s.fields}
    now = {(part.source_id, str(part.transform)) for part in table.spec().fields if part.name not in gone}
    for term in terms:
        transform, source, column, kind = parse_term(term, schema, "partition")
        if (source, str(transform)) in now:
            raise InputError(f"{name} is partitioned by {term!r} already.", "name each partition once.")
        now.add((source, str(transform)))
        # One that was there before gets its old name, and with that its old id, back.
        part_name = known.get((source, str(transform))) or _free(partition_name(column, kind), column, taken)
        taken.add(part_name)
        yield part_name, methodcaller("add_field", column, transform, part_name)


def _free(wanted: str, column: str, taken: set[str]) -> str:
    """A name that no column and no partition has had; an identity partition is called as its column."""
    found, number = wanted, 2
    while found in taken and found != column:
        found, number = f"{wanted}_{number}", number + 1
    return found


def change_properties(table: Table, name: str, changes: Mapping[str, Any]) -> None:
    """Set properties, and remove those whose value is None.

    Raises:
        InputError: one can't be set in this way.
        CommitConflictError: other writers kept winning.
    """
    from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate

    for key, value in changes.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | None):
            raise InputError(f"{key!r}={value!r} is no property.", "names are text, values text or numbers.")
        if key == "format-version":
            raise InputError("The format version is no property that can be set.", "create a table of that version.")
    texts = {key: _text(value) for key, value in changes.items() if value is not None}
    removed = [key for key, value in changes.items() if value is None]

    def make(seen: Table) -> Update | None:
        gone = [key for key in removed if key in seen.properties]
        new = {key: text for key, text in texts.items() if seen.properties.get(key) != text}
        updates: list[Any] = [SetPropertiesUpdate(updates=new)] if new else []
        updates += [RemovePropertiesUpdate(removals=gone)] if gone else []
        return Update(tuple(updates), (), lambda now: _shows(now, texts, removed)) if updates else None

    change_table(table, f"set properties of {name}", make)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shows(table: Table, texts: Mapping[str, str], removed: Sequence[str]) -> bool:
    there = table.properties
    return all(there.get(key) == text for key, text in texts.items()) and not any(key in there for key in removed)
