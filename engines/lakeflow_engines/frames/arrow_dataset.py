"""A source -> an Arrow dataset: what DuckDB pushes columns and filters into.

DuckDB knows a dataset by its class, so this is one in Python: it has the two members that DuckDB
uses, `schema` and `scanner`, and nothing of what Arrow's own datasets have beneath. DuckDB drops a
filter that it has handed over, so the filter is applied here, exactly, to what pruning left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds

from lakeflow_engines.frames.arrow_condition import arrow_condition
from lakeflow_engines.frames.source import pruned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow.compute as pc

    from lakeflow_engines.frames.source import Source

__all__ = ["SourceDataset"]


@dataclass(frozen=True, slots=True)
class _Scanner:
    """One reading of a source; each `to_reader` reads anew."""

    source: Source
    columns: list[str]
    filter: pc.Expression | None

    @property
    def projected_schema(self) -> pa.Schema:
        """What leaves it."""
        return pa.schema([self.source.schema.field(name) for name in self.columns])

    def to_reader(self) -> pa.RecordBatchReader:
        """Read."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        source, schema = self.source, self.source.schema
        needed = list(self.columns)
        if self.filter is not None:
            condition, named = arrow_condition(self.filter)
            needed += [name for name in (schema.names if named is None else named) if name not in needed]
            source = pruned(source, condition, schema)
        # A batch needs a column to know how many rows it has.
        for batch in source.select(needed or schema.names[:1]).batches():
            rows = batch if self.filter is None else batch.filter(self.filter)
            yield rows.select(self.columns)


class SourceDataset(ds.Dataset):  # type: ignore[misc]  # pyarrow has no annotations
    """A dataset as far as DuckDB looks at one."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def schema(self) -> pa.Schema:
        """The source's."""
        return self._source.schema

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002  (Arrow's name for it)
        **_options: Any,
    ) -> _Scanner:
        """A reading of some columns of the rows that pass a filter."""
        names = self._source.schema.names if columns is None else list(columns)
        return _Scanner(self._source, names, filter)
