"""Tables in plain Python: columns, rows, partitions, filters and keys by the words of Iceberg's specification.

A column is known by a number of its own, as Iceberg knows it by its field id, and a row is a dict of these numbers: a
rename doesn't touch it, and a column that takes a dropped one's name is another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import strategies as st
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    IcebergType,
    LongType,
    StringType,
    TimestampType,
    TimeType,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[int, Any]
NAN = float("nan")


@dataclass(frozen=True)
class Kind:
    """A type of columns."""

    arrow: pa.DataType
    values: list[Any]
    literal: Callable[[Any], str] | None = None  # as filters spell a value; None: filters leave it alone
    wider: str | None = None
    iceberg: IcebergType | None = None  # of those that may be keys
    terms: tuple[str, ...] = ()  # of partitions, with a place for the column's name


def quoted(value: Any) -> str:
    """A literal."""
    return f"'{value}'"


NUMBER_TERMS = ("{}", "bucket(2, {})", "truncate(3, {})")
MOMENTS = [dt.datetime(1969, 12, 31, 23), dt.datetime(2024, 2, 29, 23, 59, 59, 999999), dt.datetime(2024, 3, 1)]  # noqa: DTZ001
DAYS = [dt.date(1969, 12, 31), dt.date(2024, 2, 29), dt.date(2024, 3, 1)]
KINDS = {
    "int": Kind(pa.int32(), [*range(-1, 6)], str, "long", LongType(), NUMBER_TERMS),
    "long": Kind(pa.int64(), [*range(4), 2**40], str, None, LongType(), NUMBER_TERMS),
    "float": Kind(pa.float32(), [-0.0, 0.0, 1.5, NAN], str, "double", None, ("{}",)),
    "double": Kind(pa.float64(), [-0.0, 0.0, 1.5, 0.1, NAN], str, None, None, ("{}",)),
    "price": Kind(pa.decimal128(4, 2), [Decimal("0.00"), Decimal("-1.50"), Decimal("12.34")], quoted, "cost",
                  DecimalType(9, 2), NUMBER_TERMS[:2]),
    "cost": Kind(pa.decimal128(9, 2), [Decimal("0.00"), Decimal("-1.50"), Decimal("12345.67")], quoted, None,
                 DecimalType(9, 2), NUMBER_TERMS[:2]),
    "text": Kind(pa.string(), ["", "a", "ab", "b/c", "é=%"], quoted, None, StringType(),
                 ("{}", "bucket(3, {})", "truncate(1, {})")),
    "day": Kind(pa.date32(), DAYS, quoted, None, DateType(), ("{}", "month({})", "day({})")),
    "moment": Kind(pa.timestamp("us"), MOMENTS, lambda value: quoted(value.isoformat()), None, TimestampType(),
                   ("{}", "hour({})", "day({})", "year({})")),
    "clock": Kind(pa.time64("us"), [dt.time(0), dt.time(23, 59, 59, 999999)], None, None, TimeType(), NUMBER_TERMS[:2]),
    "bytes": Kind(pa.binary(), [b"", b"\x00", b"\xff\x00"], None, None, BinaryType(),
                  ("{}", "bucket(2, {})", "truncate(1, {})")),
    "flag": Kind(pa.bool_(), [True, False], str, None, BooleanType(), ("{}",)),
    "pairs": Kind(pa.map_(pa.string(), pa.int32()), [[], [("a", 1), ("", None)]]),
    "list": Kind(pa.list_(pa.int32()), [[], [1, None], [2]]),
}  # fmt: skip
NAMES = ["id", "kind", "at", "x", "n", "s", "u", "v"]


@dataclass(frozen=True)
class Column:
    """A column, or a field of a struct: a struct has fields, all others a kind."""

    id: int
    name: str
    kind: str = ""
    fields: tuple[Column, ...] = ()
    required: bool = False

    @property
    def arrow(self) -> pa.Field:
        """As a field of a schema."""
        kind = pa.struct([each.arrow for each in self.fields]) if self.fields else KINDS[self.kind].arrow
        return pa.field(self.name, kind, nullable=not self.required)

    def values(self) -> st.SearchStrategy[Any]:
        """Any value, as rows have it."""
        some = st.sampled_from(KINDS[self.kind].values) if self.kind else rows_of(self.fields)
        return some if self.required else st.none() | some


Columns = tuple[Column, ...]
FIRST: Columns = (
    Column(0, "id", "int"), Column(1, "kind", "text"), Column(2, "at", "day"), Column(3, "x", "float"),
    Column(4, "n", "int", required=True), Column(5, "s", fields=(Column(6, "id", "int"), Column(7, "u", "text"))),
)  # fmt: skip


def rows_of(columns: Columns) -> st.SearchStrategy[Row]:
    """Any row."""
    return st.fixed_dictionaries({each.id: each.values() for each in columns})


def shown(row: Row, columns: Columns) -> dict[str, Any]:
    """A row as readers see it: what it doesn't have is null."""
    found = {}
    for each in columns:
        value = row.get(each.id)
        found[each.name] = shown(value, each.fields) if each.fields and value is not None else value
    return found


def data_of(rows: list[Row], columns: Columns) -> pa.Table:
    """What is written."""
    return pa.Table.from_pylist([shown(row, columns) for row in rows], pa.schema([each.arrow for each in columns]))


def partition_of(term: str, kind: str, value: Any) -> Any:
    """What a transform makes of a value, by the spec."""
    name, _, width = term.partition("(")
    if isinstance(value, float):
        return repr(value)  # NaN is NaN, and 0.0 isn't -0.0
    if value is None or name == "{}":
        return value
    if name in ("year", "month", "day", "hour"):
        return value.timetuple()[: ("year", "month", "day", "hour").index(name) + 1]
    size = int(width.partition(",")[0])
    if name == "truncate":
        return value[:size] if isinstance(value, str | bytes) else value - value % size
    return BucketTransform(size).transform(KINDS[kind].iceberg)(value)


Filter = tuple[str, Callable[[Row], bool]]
"""As lakeflow takes it, and what it says of a row. Null is never true but to `is null`."""
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}
EVERYTHING: Filter = ("true", lambda _: True)


def filters(columns: Columns) -> st.SearchStrategy[Filter]:
    """One column's, or two joined."""
    some = st.one_of(*_atoms(columns, "", ()))
    both = st.builds(lambda a, b: (f"({a[0]}) and ({b[0]})", lambda row: a[1](row) and b[1](row)), some, some)
    either = st.builds(lambda a, b: (f"({a[0]}) or ({b[0]})", lambda row: a[1](row) or b[1](row)), some, some)
    return st.one_of(some, both, either, st.just(EVERYTHING))


def _atoms(columns: Columns, prefix: str, path: tuple[int, ...]) -> Iterator[st.SearchStrategy[Filter]]:
    for each in columns:
        name, own = prefix + each.name, (*path, each.id)
        yield from _atoms(each.fields, f"{name}.", own)
        kind = KINDS.get(each.kind)
        if kind is not None and kind.literal is not None:
            yield _comparisons(name, own, kind.values, kind.literal)
            yield st.just((f"{name} is null", lambda row, own=own: _value(row, own) is None))
            yield st.just((f"{name} is not null", lambda row, own=own: _value(row, own) is not None))


def _comparisons(
    name: str, path: tuple[int, ...], values: list[Any], literal: Callable[[Any], str]
) -> st.SearchStrategy[Filter]:
    known = [value for value in values if repr(value) not in ("nan", "-0.0")]

    def made(how: str, chosen: list[Any]) -> Filter:
        many = how.endswith("in")
        text = f"({', '.join(map(literal, chosen))})" if many else literal(chosen[0])

        def passes(row: Row) -> bool:
            found = _value(row, path)
            return found is not None and COMPARED[how](found, chosen if many else chosen[0])

        return f"{name} {how} {text}", passes

    return st.builds(made, st.sampled_from([*COMPARED]), st.lists(st.sampled_from(known), min_size=1, max_size=3))


def _value(row: Row, path: tuple[int, ...]) -> Any:
    found: Any = row
    for number in path:
        found = None if found is None else found.get(number)
    return found


def key_of(row: Row, key: list[Column]) -> tuple[Any, ...] | None:
    """What it is joined by; null is equal to nothing."""
    found = tuple(row.get(each.id) for each in key)
    return None if None in found else found


def by_key(rows: list[Row], key: list[Column]) -> list[tuple[tuple[Any, ...] | None, Row]]:
    """Rows with their keys, without those that repeat one."""
    keyed = [(key_of(row, key), row) for row in rows]
    first = dict(reversed(keyed))
    return [(own, row) for own, row in keyed if own is None or first[own] is row]


def inside(columns: Columns, parent: Column | None, mine: Columns) -> Columns:
    """Columns with others at the top, or in a struct."""
    return mine if parent is None else tuple(replace(each, fields=mine) if each == parent else each for each in columns)
