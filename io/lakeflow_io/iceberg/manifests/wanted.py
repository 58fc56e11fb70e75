"""What is wanted of an Avro file's records, told by field ids: names may be anything."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ByKey", "Elements", "Fields", "List", "Number", "Sizes", "Text", "Value", "Wanted"]


@dataclass(frozen=True, slots=True)
class Number:
    """An int, long or boolean, as a column."""

    name: str
    width: int = 8
    """Bytes: 1, 4 or 8."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string, bytes or fixed, as a column of bytes."""

    name: str


@dataclass(frozen=True, slots=True)
class Value:
    """Any primitive, as a column of its own type."""

    name: str


@dataclass(frozen=True, slots=True)
class List:
    """An array of int or long, as a column of lists."""

    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """A record's fields by id; `rest` is the name of a column for every other primitive: `rest:<id>`."""

    fields: tuple[tuple[int, Wanted], ...] = ()
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class ByKey:
    """A map with integer keys, which Iceberg writes as an array of pairs: a column for each key, `name:<key>`."""

    name: str
    key_id: int
    """The field id of keys."""
    keys: tuple[int, ...]
    is_text: bool


@dataclass(frozen=True, slots=True)
class Elements:
    """An array of records: a column for each field of the first `count` elements, `name:<index>`."""

    fields: tuple[tuple[int, Number | Text], ...]
    count: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """A map of sizes by integer keys, of things that lie one behind the other.

    The columns are `name:start:<key>` and `name:size:<key>`, of each thing in `keys`, and `name:all`,
    the sum of all sizes.
    """

    name: str
    key_id: int
    """The field id of keys."""
    order: tuple[int, ...]
    """All keys, in the order in which they lie."""
    keys: tuple[int, ...]


Wanted = Number | Text | Value | List | Fields | ByKey | Elements | Sizes
