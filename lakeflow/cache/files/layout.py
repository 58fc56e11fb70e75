"""How the rows of a version lie on disk for look-ups."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from lakeflow_io.errors import InputError

__all__ = ["LAYOUTS", "Layout", "check_layout"]

Layout: TypeAlias = Literal["columns", "rows"]
"""Columns alone; or beside them all rows once more, each as one run of bytes."""

LAYOUTS = get_args(Layout)


def check_layout(layout: Layout) -> Layout:
    """Refuse a layout that there isn't.

    Raises:
        InputError: it is none of `Layout`.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout={layout!r} is no layout of a cache.", f"use one of {', '.join(LAYOUTS)}.")
    return layout
