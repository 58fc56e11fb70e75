"""What callers hand over, checked: columns and whole numbers."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["wanted_columns", "whole_number"]

_MOST = 2**63 - 1  # rows that anything could hold


def wanted_columns(columns: Sequence[str] | str, known: list[str], name: str) -> list[str]:
    """What `columns=` means, each once.

    Args:
        columns: As the caller gave them.
        known: The columns there are.
        name: What is scanned, for messages.

    Raises:
        NotFoundError: one isn't there.
        InputError: there is none.
    """
    columns = [columns] if isinstance(columns, str) else columns
    if not isinstance(columns, Iterable):
        raise InputError(f"columns={columns!r} names no columns.", "give a list of names.")
    columns = list(columns)
    if not columns:
        raise InputError(f"A scan of {name} without columns has nothing to read.", "leave columns= out.")
    for column in columns:
        if column not in known:
            raise NotFoundError.among("column", column, name, known)
    return list(dict.fromkeys(columns))


def whole_number(value: Any, what: str, *, least: int) -> int:
    """A whole number of any integer type, numpy's included; one beyond 64 bits is the largest that there is.

    Args:
        value: As the caller gave it.
        what: What is counted, for the message.
        least: The smallest that makes sense.

    Raises:
        InputError: it is none, or smaller.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InputError(f"{value!r} is no number of {what}.", f"give a whole number, {least} or more.")
    return min(number, _MOST)
