"""Removes the rows of uploads that nobody needs any more, those of pushes that were killed among them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lakeflow.cache.dynamodb.lease import RENEW_SECONDS
from lakeflow.cache.dynamodb.names import ROW
from lakeflow.cache.dynamodb.send import BATCH_ITEMS, Batch, send
from lakeflow.cache.dynamodb.table import removal
from lakeflow.cache.dynamodb.uploads import held, uploads
from lakeflow.cache.pushed.ending import clearing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.cache.dynamodb.lease import Lease
    from lakeflow.cache.dynamodb.names import UploadId
    from lakeflow.cache.dynamodb.uploads import Upload

__all__ = ["clear"]

_ROWS_PER_SECOND = 4_000
"""A removal costs as much of a table's capacity as a write, and is less urgent than anybody's. A new on-demand table
takes 4,000 writes a second; one that throttles gets fewer by `Pace`."""


def clear(lease: Lease, kept: list[UploadId]) -> int:
    """Remove every upload but those kept.

    Args:
        lease: Held by the caller.
        kept: The current upload first.

    Returns:
        How many rows were removed.

    Raises:
        CommitConflictError: another push has taken over; it goes on with this.
        StoreError: the table failed meanwhile; the pointer is set already.
    """
    removed = 0
    with clearing(kept[0].version, lease.table.shown):
        found = uploads(lease.table, lease.names)
        lease.renew()  # nobody has had the lease since: who holds an upload is as it was read
        for upload in found:
            if upload.id not in kept:
                removed += _remove(lease, upload)
    return removed


def _remove(lease: Lease, seen: Upload) -> int:
    """Remove an upload, unless another push has decided to use it."""
    marked = held(lease, seen, phase="abandoned" if seen.phase == "writing" else "removing")
    if marked is None:
        return 0
    removed = 0

    def on_the_way(done: int) -> None:
        nonlocal removed
        removed = done
        if lease.due:
            lease.renew()

    send(lease.table, _paced(_removals(lease, marked)), RENEW_SECONDS, on_the_way)
    if marked.phase == "removing":
        lease.table.delete(lease.names.upload(marked.id))
    return removed


def _removals(lease: Lease, upload: Upload) -> Iterator[Batch]:
    count = 0
    for partition in lease.names.partitions(upload.id):
        if lease.due:
            lease.renew()  # hundreds of them may be empty
        for page in lease.table.query(partition, ROW, "pk, sk"):
            requests = [removal((partition, item["sk"])) for item in page if isinstance(item["sk"], bytes)]
            for start in range(0, len(requests), BATCH_ITEMS):
                batch = requests[start : start + BATCH_ITEMS]
                count += len(batch)
                yield Batch(batch, count)


def _paced(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Hold batches back so that there are no more writes in a second than there should be."""
    began = time.monotonic()
    for batch in batches:
        early = batch.end / _ROWS_PER_SECOND - (time.monotonic() - began)
        if early > 0:
            time.sleep(early)
        yield batch
