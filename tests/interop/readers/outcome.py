"""What comes of it when an engine reads a table: the word for its cell in docs/iceberg.md."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from readers.rows import Rows

__all__ = ["Outcome", "Read", "Refused", "outcome"]


class Refused(Exception):  # noqa: N818  (what it is called in the document)
    """lakeflow said that it doesn't read this, by its own error for that."""


@dataclass(frozen=True, slots=True)
class Read:
    """One way to read a table, and the rows that have to come."""

    truth: Rows
    where: str | None = None
    snapshot: int | None = None

    def __str__(self) -> str:
        return f"where {self.where!r}, snapshot {self.snapshot}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The word, and why it is not `yes`."""

    word: str
    """`yes`; `no`: an error, and no rows; `no filter`: an error where rows are filtered; `wrong`: other rows.
    Of lakeflow, `fails` is an error that doesn't say that the feature is not there."""
    detail: str = ""


def outcome(rows: Callable[[str, Read], Rows], tables: Mapping[str, Sequence[Read]]) -> Outcome:
    """Run all reads of all tables with one engine.

    Wrong rows outweigh errors, since nobody notices them; but where another engine can't read a whole
    table, what its filters do is its own affair, and not the same each time.
    """
    own = rows.__module__ == "readers.lakeflow"
    found = [_one(rows, metadata, read) for metadata, reads in tables.items() for read in reads]
    for word in ("wrong", "fails", "no") if own else ("no", "wrong", "no filter"):
        for each in found:
            if each.word == word:
                return each
    return Outcome("yes")


def _one(rows: Callable[[str, Read], Rows], metadata: str, read: Read) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the engines, about each other
            found = rows(metadata, read)
    except KeyboardInterrupt:
        raise
    except Refused as error:
        return Outcome("no", f"{read}: {error}")
    except BaseException as error:  # noqa: BLE001  (a panic of an engine in Rust is no Exception)
        own = rows.__module__ == "readers.lakeflow"
        word = "fails" if own else "no" if read.where is None else "no filter"
        return Outcome(word, f"{read}: {type(error).__name__}: {str(error)[:600]}")
    difference = found.difference(read.truth)
    return Outcome("wrong", f"{read}: {difference}") if difference else Outcome("yes")
