"""How many values of each column of floats are NaN: no Parquet footer tells, and Iceberg's manifests do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NanCounter"]

_FIELD_ID = b"PARQUET:field_id"


class NanCounter:
    """Counts over all the rows of a file.

    Args:
        schema: Theirs. Columns without a field id aren't counted.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = [position for position, field in enumerate(schema) if _has_floats(field.type)]
        self.counts = Counter[int]()
        """By field id, of columns of floats, those within structs, lists and maps included."""

    def add(self, rows: pa.Table) -> None:
        """Count the NaN of some rows."""
        for position in self._columns:
            for chunk in rows.column(position).chunks:
                for field_id, values in _floats(rows.schema.field(position), chunk):
                    self.counts[field_id] += pc.call_function("is_nan", [values]).true_count


def _has_floats(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_has_floats(kind.field(number).type) for number in range(kind.num_fields))
    return bool(pa.types.is_floating(kind))


def _floats(field: pa.Field, values: Any) -> Iterator[tuple[int, Any]]:
    """The leaves of floats at or beneath a field: id and values. Those of null parents are null, or left out."""
    kind = field.type
    if pa.types.is_floating(kind):
        if field.metadata and _FIELD_ID in field.metadata:
            yield int(field.metadata[_FIELD_ID]), values
    elif pa.types.is_struct(kind):
        for number, child in enumerate(values.flatten()):
            yield from _floats(kind.field(number), child)
    elif pa.types.is_map(kind):
        entries = pa.struct([kind.key_field, kind.item_field])
        yield from _floats(pa.field("entries", entries), values.cast(pa.list_(entries)).flatten())
    elif pa.types.is_nested(kind) and _has_floats(kind):
        yield from _floats(kind.value_field, values.flatten())
