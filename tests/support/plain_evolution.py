"""Steps of a schema change at random, said to lakeflow and done to a plain table's columns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from plain_table import KINDS, NAMES, Column, Columns, inside

from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_NAMES = [*NAMES, "w", "y", "z"]
_numbers = itertools.count(100)


@dataclass
class Evolution:
    """The steps of one block: no column is touched twice, and no name is taken that was there when it began."""

    data: st.DataObject
    change: Any  # lakeflow's
    columns: Columns
    laid_out: set[int]  # columns by which the table is partitioned or sorted
    names: set[str]  # that no column gets: of partitions, and of columns
    touched: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names |= {each.name for each in self.columns}

    def step(self) -> None:
        """One, of a column or of a field of a struct."""
        structs = [each for each in self.columns if each.fields and each.id not in self.touched]
        parent = self.data.draw(st.sampled_from([None, None, *structs]))
        mine, prefix = (self.columns, "") if parent is None else (parent.fields, f"{parent.name}.")
        taken = self.names if parent is None else {each.name for each in mine}
        free = [each for each in _NEW_NAMES if each not in taken]
        what = self.data.draw(st.sampled_from(["add", "drop", "rename", "promote", "optional", "move"]))
        able = [each for each in mine if each.id not in self.touched]
        if what == "add":
            name, kind = self.data.draw(st.sampled_from(free)), self.data.draw(st.sampled_from([*KINDS]))
            made = Column(next(_numbers), name, kind)
            self.touched.add(made.id)
            self.change.add(prefix + made.name, made.arrow.type)
            new: Columns = (*mine, made)
        elif able:
            column = self.data.draw(st.sampled_from(able))
            self.touched |= {column.id, *(each.id for each in ([parent] if parent else []))}
            at = mine.index(column)
            before, after = mine[:at], mine[at + 1 :]
            changed = list(self._changed(what, prefix + column.name, column, free, alone=len(mine) == 1))
            new = (*changed, *before, *after) if what == "move" else (*before, *changed, *after)
        else:
            return
        if parent is None:
            self.names |= {each.name for each in new}
        self.columns = inside(self.columns, parent, new)

    def _changed(self, what: str, path: str, column: Column, free: list[str], *, alone: bool) -> Iterator[Column]:
        """What becomes of a column: itself, another, or nothing."""
        if what == "drop" and alone:
            pass
        elif what == "drop" and column.id in self.laid_out:
            with pytest.raises(SchemaError, match="by it"):
                self.change.drop(path)
        elif what == "drop":
            self.change.drop(path)
            return
        elif what == "rename":
            column = replace(column, name=self.data.draw(st.sampled_from(free)))
            self.change.rename(path, column.name)
        elif what == "promote" and column.kind and (wider := KINDS[column.kind].wider):
            self.change.promote(path, KINDS[wider].arrow)
            column = replace(column, kind=wider)
        elif what == "optional":
            self.change.optional(path)
            column = replace(column, required=False)
        elif what == "move":
            self.change.move(path, first=True)
        yield column
