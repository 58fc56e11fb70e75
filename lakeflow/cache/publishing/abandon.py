"""Gives up a run into a cache that nobody finishes: what it wrote can go then, and it never publishes.

It is sealed as "abandoned", so that a driver that comes back publishes nothing. A run that was sealed for publication
gets `abandoned.json`, for which drivers look before they build. One that had looked before publishes all the same, or
finds that its segments are gone: a version needs none of them once it is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.runs.state.seal import Seal
from lakeflow.runs.state.silence import last_heard

if TYPE_CHECKING:
    from lakeflow.runs.state.journal import Journal

__all__ = ["give_up"]


def give_up(journal: Journal, limit: float) -> bool:
    """Give up a run that hasn't published and was last heard of before `limit`; tell whether it is.

    One that writes into other outputs, too, is left alone: only who knows all of them can tell whether it published.

    Args:
        journal: Its folder.
        limit: Unix seconds.

    Raises:
        StoreError: the store failed; calling again goes on.
    """
    plan = journal.plan()
    status = journal.read("status.json") or {}
    if plan is None or len(plan.outputs) > 1 or last_heard(plan, status) > limit:
        return False
    if journal.seal(Seal("abandoned")).state == "publish":
        journal.abandon({"format": 1})
    for name in ("done", "failed", "shared"):
        journal.clear(name)
    journal.write_status({**status, "state": "abandoned"})
    return True
