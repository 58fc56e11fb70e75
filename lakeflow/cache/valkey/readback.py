"""Reads some buckets back before the pointer moves: what a server acknowledged, it has."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np

from lakeflow.cache.valkey.names import bucket_names
from lakeflow_io.errors import StoreError

if TYPE_CHECKING:
    from lakeflow.cache.valkey.ledger import Push
    from lakeflow.cache.valkey.names import Names
    from lakeflow.cache.valkey.nodes import Nodes
    from lakeflow.cache.valkey.source import Source

__all__ = ["check_samples"]

_SAMPLES = 64


def check_samples(nodes: Nodes, names: Names, source: Source, push: Push) -> None:
    """Compare some buckets, spread evenly and by chance over all, byte by byte with what is in the cache.

    Raises:
        StoreError: one isn't there, or differs.
    """
    chance = Random(push.id)  # noqa: S311  (spreads samples, keeps no secret)
    count = min(_SAMPLES, push.buckets)
    for sample in range(count):
        low, high = push.buckets * sample // count, push.buckets * (sample + 1) // count
        bucket = chance.randrange(low, high)
        packed = source.packed(bucket, bucket + 1)
        expected = None if packed is None else packed.values[0].as_py()
        key = bucket_names(push.prefix(names, push.part_of(bucket)), np.array([bucket]))[0].tobytes()
        found = nodes.one(key, "GET", key)
        if found != expected:
            what = "is gone" if found is None else "differs from what was written"
            message = f"{key.decode()} in {nodes.shown} {what}, though the server acknowledged it."
            raise StoreError(message, "see whether it restarted or another program writes there, then push again.")
