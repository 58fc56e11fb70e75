"""What a request turned out to be: filled in while it is answered, read by whoever counts and logs."""

from __future__ import annotations

from dataclasses import dataclass

from lakeflow.serve.routes import Route

__all__ = ["Noted"]


@dataclass(slots=True)
class Noted:
    """One request."""

    route: Route = Route.OTHER
    cache: str | None = None
    """The name of a cache that is there; what else a path says is nobody's business."""
    keys: int = 0
    """Asked for."""
    found: int = 0
