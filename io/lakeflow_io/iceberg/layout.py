"""How a table is laid out: `partition_by` and `sort_by` in words -> Iceberg's spec and order, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.sorting import SortOrder

__all__ = ["parse_term", "partition_name", "partition_spec", "sort_order", "term_of"]

# `bucket(16, alias_id)`, `day(ts)`, `country`: the transforms of the spec, section "Partition Transforms".
_TERM = re.compile(
    r"\s*(?:(?P<name>\w+)\s*\(\s*(?:(?P<width>\d+)\s*,\s*)?(?P<inner>[^()]+?)\s*\)|(?P<column>[^()]+?))\s*"
)
_WITH_WIDTH = ("bucket", "truncate")
_PLAIN = ("identity", "year", "month", "day", "hour", "void")
_LARGEST_WIDTH = 2**31 - 1  # the spec's widths are ints
_FIRST_PARTITION_ID = 1000  # the spec's convention, so that partition ids never meet column ids


def parse_term(term: str, schema: Schema, what: str) -> tuple[Any, int, str, str]:
    """A term's transform, source field id, column name and transform name.

    Args:
        term: A column or a transform of one.
        schema: With its final field ids.
        what: The argument that it stands in, for messages.

    Raises:
        InputError: it is no transform, or doesn't take the column's type.
        NotFoundError: the column isn't in the schema.
    """
    from pyiceberg.transforms import parse_transform

    if not isinstance(term, str):
        raise InputError(f"{what} {term!r} is no text.", _hint())
    match = _TERM.fullmatch(term)
    if match is None:
        raise InputError(f"{what} {term!r} is no column and no transform.", _hint())
    name = (match["name"] or "identity").lower().rstrip("s") if match["name"] != "days" else "day"
    column = match["inner"] or match["column"]
    tops = [field.name for field in schema.fields]
    if column in schema.column_names and column not in tops:
        raise InputError(f"{what} {term!r} is a field of a struct.", "lakeflow lays tables out by top-level columns.")
    if column not in tops:
        raise NotFoundError.among("column", column, f"the schema (named in {what} {term!r})", tops)
    if name in _WITH_WIDTH and 0 < int(match["width"] or 0) <= _LARGEST_WIDTH:
        transform = parse_transform(f"{name}[{match['width']}]")
    elif name in _PLAIN and not match["width"]:
        transform = parse_transform(name)
    else:
        raise InputError(f"{what} {term!r} is no transform of the Iceberg spec.", _hint())
    field = schema.find_field(column)
    if not transform.can_transform(field.field_type):
        raise InputError(f"{what} {term!r}: {name} does not take a column of type {field.field_type}.", _hint())
    return transform, field.field_id, column, name


def _hint() -> str:
    return "write a column, or bucket(n, column), truncate(n, column), year(column), month(), day() or hour()."


def partition_name(column: str, transform: str) -> str:
    """What a partition of `column` is called, as other engines call it."""
    return column + {"identity": "", "truncate": "_trunc"}.get(transform, f"_{transform}")


def term_of(schema: Schema, part: Any) -> str:
    """A field of a partition spec or sort order in the words that `parse_term` takes."""
    column = schema.find_column_name(part.source_id) or str(part.source_id)
    name, _, width = str(part.transform).rstrip("]").partition("[")
    if name == "identity":
        return column
    return f"{name}({width}, {column})" if width else f"{name}({column})"


def partition_spec(schema: Schema, terms: Sequence[str]) -> PartitionSpec:
    """The partition spec of a new table.

    Args:
        schema: With its final field ids.
        terms: Columns and transforms, such as `["country", "bucket(16, id)"]`.

    Raises:
        InputError: a term is no transform, or doesn't take the column's type.
        NotFoundError: a column isn't in the schema.
    """
    from pyiceberg.partitioning import PartitionField, PartitionSpec

    fields: list[PartitionField] = []
    for number, term in enumerate(terms):
        transform, source, column, name = parse_term(term, schema, "partition_by")
        if any(source == field.source_id and str(transform) == str(field.transform) for field in fields):
            raise InputError(f"partition_by names {term!r} twice.", "name each partition once.")
        fields.append(PartitionField(source, _FIRST_PARTITION_ID + number, transform, partition_name(column, name)))
    names = [field.name for field in fields]
    if len(set(names)) < len(names):
        raise InputError(f"partition_by {list(terms)} gives two partitions one name.", "use one transform a column.")
    return PartitionSpec(*fields)


def sort_order(schema: Schema, terms: Sequence[str]) -> SortOrder:
    """The sort order of a new table: ascending, nulls first; `"column desc"` turns one around.

    Raises:
        InputError: a term is no transform.
        NotFoundError: a column isn't in the schema.
    """
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortDirection, SortField, SortOrder

    fields = []
    for term in terms:
        if not isinstance(term, str):
            raise InputError(f"sort_by {term!r} is no text.", _hint())
        column, _, direction = term.strip().rpartition(" ")
        descending = bool(column) and direction.lower() == "desc"
        plain = column if column and direction.lower() in ("asc", "desc") else term
        transform, source, _, _ = parse_term(plain, schema, "sort_by")
        direction_and_nulls = (
            (SortDirection.DESC, NullOrder.NULLS_LAST) if descending else (SortDirection.ASC, NullOrder.NULLS_FIRST)
        )
        fields.append(SortField(source, transform, *direction_and_nulls))
    return SortOrder(*fields) if fields else UNSORTED_SORT_ORDER
