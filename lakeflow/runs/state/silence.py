"""For how long nobody has heard of a run: after a week or so it may be given up."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from lakeflow.runs.plan import RunPlan

__all__ = ["GIVE_UP_AFTER", "created_seconds", "last_heard", "silence_limit"]

GIVE_UP_AFTER = timedelta(days=7)
"""Where nobody says otherwise: over a weekend, people may come back to a run."""


def created_seconds(plan: RunPlan) -> float:
    """When a plan was made: Unix seconds."""
    return datetime.fromisoformat(plan.created).timestamp()


def last_heard(plan: RunPlan, status: dict[str, Any]) -> float:
    """When a driver of a run last said anything: Unix seconds.

    Args:
        plan: The run's.
        status: What is in its `status.json`; nothing where there is none.
    """
    return max(created_seconds(plan), float(status.get("updated", 0)))


def silence_limit(older_than: timedelta) -> float:
    """The moment since which a run that is given up must not have been heard of: Unix seconds.

    Raises:
        InputError: `older_than` is no time.
    """
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise InputError(f"older_than={older_than!r} is no time.", "give a datetime.timedelta, such as days=7.")
    return time.time() - older_than.total_seconds()
