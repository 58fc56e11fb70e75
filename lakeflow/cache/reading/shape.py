"""What versions with the same columns and key have in common, worked out once for all of them.

To work it out takes as long as to look up some hundred keys, and a reader opens a version in the middle of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow.cache.files.columns import answer_schema, schema_at
from lakeflow.cache.keys.column import key_of

if TYPE_CHECKING:
    from lakeflow.cache.keys.column import KeyColumn, KeyNames

__all__ = ["Answer", "Shape", "shape_of"]

_REMEMBERED = 64  # as many kinds of caches as a process is likely to read


@dataclass(frozen=True, slots=True)
class Answer:
    """What `get_many` returns: to work it out takes as long as to find fifty keys."""

    names: list[str]
    """The columns asked for."""
    values: list[str]
    """Of them those that aren't the key's: keys are those that were asked for."""
    schema: pa.Schema
    """Any column may be null, as a key may have no row; whether it has one is told last."""

    @classmethod
    def of(cls, schema: pa.Schema, key: KeyColumn, names: list[str]) -> Answer:
        """Describe the answer with some columns of a version."""
        keys = set(key.names)
        return cls(names, [name for name in names if name not in keys], answer_schema(schema, names))


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns and a key."""

    key: KeyColumn
    whole: Answer
    """The answer with all columns."""
    is_flat: bool
    """Whether all values are of one known size."""


def shape_of(schema: pa.Schema, key: KeyNames) -> Shape:
    """Describe versions with these columns.

    Raises:
        SchemaError: a key column isn't there, or its type can't be a key.
    """
    return _shape(schema.serialize().to_pybytes(), key)  # by its bytes: equal schemas may differ in fields' metadata


@lru_cache(_REMEMBERED)
def _shape(serialized: bytes, names: KeyNames) -> Shape:
    schema = schema_at(serialized)
    key = key_of(schema, names)
    is_flat = all(pa.types.is_primitive(field.type) for field in schema)
    return Shape(key, Answer.of(schema, key, schema.names), is_flat)
