"""What a push did."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PushReport"]


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did."""

    version: str
    rows: int
    """Rows that were written; 0 where the version was there already."""
    removed: int
    """Rows of older versions that were removed."""
    written: bool
    """False where the store's pointer named this version before."""
