"""`precompute`: a foreach whose output is a new version of a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakeflow.cache.building.bucketed import MOST_BUCKETS
from lakeflow.cache.keys.column import KeyNames, key_names
from lakeflow.runs.foreach import foreach
from lakeflow.scan import Scan
from lakeflow_io.iceberg.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.cache.cache import Cache
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.runs.run import Run

__all__ = ["precompute"]


def precompute(
    shards: Sequence[Shard] | Scan,
    function: Callable[..., Any],
    *,
    cache: Cache,
    key: str | Sequence[str],
    checks: Sequence[Check] = (),
    update: bool = False,
    **options: Any,
) -> Run:
    """Run a function over shards and publish what it returns as one version of a cache.

    Args:
        shards: From `Scan.shards`; a scan stands for its default shards.
        function: As in `foreach`; returns the key column and the values, each key once in all shards.
        cache: Where the version goes. Readers see the old one until all of the new one is there.
        key: The key column: integers, strings or binary, without nulls; or several that are the key together.
        checks: What must be true of the version for it to be published; see `Cache.load`. They are no part of the
            run's plan: after one has failed, the same run id with other checks publishes what was computed.
        update: Whether the rows change the current version, as `Cache.update` does, and aren't all of the new one:
            for a scan of what has changed, such as `Table.changes`. `run.rows` counts the rows of the version.
        options: all of `foreach` but `into`, `mode` and `where`.

    Returns:
        The run; `run.version_id` names the version.

    Raises:
        NotFoundError: there is no version to update.
        DuplicateKeyError: two rows have one key; names the first few. The old version stays current.
        CheckFailedError: a check failed; names all that did. The old version stays current.
        FunctionError, SchemaError, PlanChangedError, RunError, StoreError: as in `foreach`.

    Example:
        >>> run = precompute(titles.scan(), predict, cache=Cache("scores"), key="title_id")  # doctest: +SKIP
    """
    cut = shards.shards() if isinstance(shards, Scan) else shards
    sink = replace(cache.sink(key, checks, update=update), buckets=_buckets(cut, key_names(key)))
    return foreach(cut, function, into=sink, **options)


def _buckets(shards: Any, key: KeyNames) -> int | None:
    """Return into how many buckets the key cuts the table, if it does; what is in them is looked at as rows come."""
    first = shards[0] if isinstance(shards, Sequence) and shards else None
    counts = [count for name, count in first.spec.buckets if name == key] if isinstance(first, Shard) else []
    return counts[0] if counts and counts[0] <= MOST_BUCKETS else None
