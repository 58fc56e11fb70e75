"""What a lazy hand-off reads from: rows that can be narrowed before they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lakeflow_engines.frames.condition import all_of, conjuncts, weaker
from lakeflow_io.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression

    from lakeflow_engines.frames.condition import Condition

__all__ = ["Source", "pruned"]


class Source(Protocol):
    """A lazy read, as `lakeflow.Scan` is one. Each verb returns a new source of the same snapshot."""

    @property
    def schema(self) -> pa.Schema:
        """What the batches look like, known before anything is read."""
        ...

    def select(self, columns: Sequence[str], /) -> Source:
        """Only these columns, in this order."""
        ...

    def where(self, predicate: BooleanExpression, /) -> Source:
        """Only rows for which the predicate is true, besides what was asked for before."""
        ...

    def limit(self, n: int, /) -> Source:
        """At most `n` rows."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read. Letting go of the iterator stops the reading."""
        ...


def pruned(source: Source, condition: Condition, schema: pa.Schema) -> Source:
    """Leave out what an engine's filter would drop anyway, as far as that is certain.

    The engine's own filter still has to run: this is weaker, never stronger.

    Args:
        source: What to read.
        condition: The engine's filter.
        schema: The columns that the filter may name.
    """
    try:
        implied = (weaker(part, schema) for part in conjuncts(condition))
        return _where(source, [predicate for predicate in implied if predicate is not None])
    except RecursionError:  # ands within ors within ands, hundreds deep
        return source


def _where(source: Source, predicates: list[BooleanExpression]) -> Source:
    if not predicates:
        return source
    try:
        return source.where(all_of(predicates))
    except (InputError, UnsupportedError):
        # Some column is of a kind that Iceberg can't compare: the engine's filter does. Keep the others.
        middle = len(predicates) // 2
        return _where(_where(source, predicates[:middle]), predicates[middle:]) if middle else source
