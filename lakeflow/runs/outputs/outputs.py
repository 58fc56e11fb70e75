"""What a run writes into: one table or cache, or several by name, in the order in which they are published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.runs.outputs.replacing import Mode, check_mode
from lakeflow.runs.outputs.table_sink import TableSink
from lakeflow.table import Table
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from lakeflow.runs.outputs.sink import Sink

__all__ = ["ONLY", "Outputs"]

ONLY = "output"
"""The name of an output that is the only one."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Outputs:
    """A run's outputs."""

    sinks: dict[str, Sink]
    named: bool
    """Whether the function returns a mapping by their names."""

    @classmethod
    def of(cls, into: Any, mode: Mode = "append", where: str | None = None) -> Outputs | None:
        """From what `foreach` was given; None for None.

        Raises:
            InputError: it is no table, sink or mapping of these, names one twice, or the mode doesn't fit.
        """
        check_mode(mode, where)
        if into is None:
            if mode != "append":
                raise InputError(f"mode={mode!r} says what goes from a table.", "give a table as into=.")
            return None
        named = isinstance(into, Mapping)
        if named and not into:
            raise InputError("into={} has no output.", "give tables by name, or one table.")
        given: dict[str, Any] = dict(into) if named else {ONLY: into}
        for name in given:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise InputError(
                    f"{name!r} can't be the name of an output.", "use letters, digits, '_' and '-', 64 at most."
                )
        sinks = {name: _sink(each, mode, where) for name, each in given.items()}
        described = [str(sink.describe()) for sink in sinks.values()]
        if len(set(described)) < len(described):
            raise InputError("into= has one table twice.", "let the function return its rows as one frame.")
        return cls(sinks, named)

    @property
    def first(self) -> Sink:
        """The one in whose folder the run keeps its state."""
        return next(iter(self.sinks.values()))

    def describe(self) -> list[dict[str, Any]]:
        """What the plan says of them."""
        return [{"name": name, **sink.describe()} for name, sink in self.sinks.items()]

    def settings(self) -> dict[str, dict[str, Any]]:
        """How each publishes."""
        return {name: settings for name, sink in self.sinks.items() if (settings := sink.settings())}

    def heads(self) -> dict[str, int | None]:
        """The newest snapshot of each, as it was last seen."""
        return {name: sink.head() for name, sink in self.sinks.items()}


def _sink(into: Any, mode: Mode, where: str | None) -> Sink:
    if isinstance(into, Table):
        return TableSink(into, mode, where)
    if not hasattr(into, "publish"):
        raise InputError(f"into= is a {type(into).__name__}.", "give a table, as lake.table(name).")
    if mode != "append":
        raise InputError(f"mode={mode!r} is for tables.", "a cache's new version replaces the old one anyway.")
    sink: Sink = into
    return sink
