"""What many look-ups are handed over as: a table, a frame, or a dict by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from lakeflow.cache.files.columns import FOUND
from lakeflow_engines.frames import from_arrow
from lakeflow_io.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.keys.column import Key

__all__ = ["AnswerKind", "check_kind", "handed_over"]

AnswerKind: TypeAlias = Literal["arrow", "dict", "duckdb", "pandas", "polars"]
"""As the methods of `lakeflow.DataFrame` are named, and a dict."""


def check_kind(kind: str) -> None:
    """Refuse a kind that there isn't, before any look-up.

    Raises:
        InputError: it is none of `AnswerKind`.
    """
    kinds = get_args(AnswerKind)
    if kind not in kinds:
        raise InputError(f"to={kind!r} is nothing that rows can be.", f"use one of {', '.join(kinds)}.")


def handed_over(found: pa.Table, keys: Sequence[Key], kind: AnswerKind) -> Any:
    """Return looked-up rows as `kind`.

    Args:
        found: One row per key; whether it was there in the last column.
        keys: Those asked for; needed for a dict only.
        kind: A dict has each key once, in the order asked, and None for one without a row.

    Raises:
        ConfigError: the frame's package isn't installed.
        UnsupportedError: a value, such as a date past the year 9999, has no Python form.
    """
    if kind != "dict":
        return from_arrow(found, kind)
    try:
        rows: list[dict[str, Any]] = found.to_pylist()
    except (ValueError, OverflowError) as error:
        message = f"A row has a value without a Python form: {error}"
        raise UnsupportedError(message, 'read it as Arrow, with to="arrow".') from error
    return {key: row if row.pop(FOUND) else None for key, row in zip(keys, rows, strict=True)}
