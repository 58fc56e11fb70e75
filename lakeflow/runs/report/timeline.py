"""Which worker did what when: a bar for each try, or how busy each worker was where there are too many.

The page stays small whatever the run was: beyond some thousand tries, a bar would be thinner than a
pixel, and each worker's row shows shares of time instead.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakeflow.quantities import number_of, seconds_text, share_text
from lakeflow.runs.report.chart import WIDTH, figure, legend, marks, number, time_axis
from lakeflow.runs.report.markup import make
from lakeflow.runs.report.tries import spread_over

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    import numpy.typing as npt

    from lakeflow.runs.report.clock import Clock
    from lakeflow.runs.report.tries import Tries

__all__ = ["timeline"]

_MOST_BARS = 1200
_MOST_ROWS = 40
_MOST_LANES = 80  # of all rows: what would be taller than a page
_BINS = 200
_LEVELS = 4
_LANE = 14.0  # units of height
_THINNEST = 1.5  # units of width: what ran is seen


@dataclass(frozen=True, slots=True)
class _Row:
    """A worker, or all those that have no row of their own."""

    name: str
    positions: npt.NDArray[np.intp]
    lanes: list[int]
    """Which lane each of its tries is in."""

    @property
    def height(self) -> int:
        """Lanes."""
        return max(self.lanes, default=0) + 1


def timeline(tries: Tries, clock: Clock) -> Element:
    """The figure."""
    rows = _rows(tries)
    barred = len(tries) <= _MOST_BARS and sum(row.height for row in rows) <= _MOST_LANES
    draw = _bars if barred else _shares
    lines = [
        make(
            "div",
            make("div", row.name, make("small", _said(tries, row)), class_="who"),
            draw(tries, clock, row),
            class_="row",
        )
        for row in rows
    ]
    if barred:
        note = "A bar is a try at a shard, from when the run began; rest the pointer on it for its name."
        keys = legend(("done", "done"), ("failed", "failed"))
    else:
        note = f"{len(tries):,} tries are too many to draw: the stronger the colour, the more of the worker was busy."
        keys = legend(*((f"busy{level}", _range(level)) for level in range(1, _LEVELS + 1)), ("fail", "a try failed"))
    axis = make("div", make("div"), time_axis(clock), class_="row axis")
    return figure("Tasks on each worker", note, keys, make("div", lines, axis, class_="timeline"))


def _range(level: int) -> str:
    return f"{100 * (level - 1) // _LEVELS}-{100 * level // _LEVELS} % busy"


def _said(tries: Tries, row: _Row) -> str:
    chosen = row.positions
    failed = int(tries.failed[chosen].sum())
    worked = seconds_text(float((tries.ended - tries.started)[chosen].sum()))
    return f"{number_of(len(chosen), 'try', 'tries')}, {worked}" + (f", {failed:,} failed" if failed else "")


def _rows(tries: Tries) -> list[_Row]:
    """A row for each worker, by name; those that did the least share one where there are many."""
    names, inverse = np.unique(np.array(tries.workers, dtype=object).astype(str), return_inverse=True)
    worked = np.bincount(inverse, tries.ended - tries.started, len(names))
    order = np.argsort(-worked, kind="stable")
    most = _MOST_ROWS if len(names) <= _MOST_ROWS else _MOST_ROWS - 1
    chosen = sorted(order[:most], key=lambda k: _natural(str(names[k])))
    rows = [_row(tries, str(names[k]), np.flatnonzero(inverse == k)) for k in chosen]
    if len(names) > most:
        rest = np.flatnonzero(np.isin(inverse, order[most:]))
        rows.append(_row(tries, f"{len(names) - most:,} more workers", rest))
    return rows


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts `node-2` before `node-10`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _row(tries: Tries, name: str, positions: npt.NDArray[np.intp]) -> _Row:
    """Tries that overlap go into lanes: each into the first that is free."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    lanes: list[int] = []
    for position in positions:
        while busy and busy[0][0] <= tries.started[position]:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (float(tries.ended[position]), lane))
        lanes.append(lane)
    return _Row(name, positions, lanes)


def _bars(tries: Tries, clock: Clock, row: _Row) -> Element:
    left = WIDTH * clock.place(tries.started[row.positions])
    right = WIDTH * clock.place(tries.ended[row.positions])
    bars: list[Element] = []
    for k, position in enumerate(row.positions):
        width = max(_THINNEST, float(right[k] - left[k]))
        failed = bool(tries.failed[position])
        took = seconds_text(float(tries.ended[position] - tries.started[position]))
        ended = f"failed after {took}" if failed else f"done in {took}"
        title = f"{tries.works[position]}, attempt {tries.numbers[position]}: {ended}"
        bars.append(
            make(
                "rect",
                make("title", title),
                x=number(min(float(left[k]), WIDTH - width)),
                y=number(row.lanes[k] * _LANE + 1),
                width=number(width),
                height=number(_LANE - 2),
                class_="failed" if failed else None,
            )
        )
    return _sized(marks(row.height * _LANE, f"{row.name}: {_said(tries, row)}", bars, class_="bars"), row.height)


def _shares(tries: Tries, clock: Clock, row: _Row) -> Element:
    edges = clock.edges(_BINS)
    started, ended = tries.started[row.positions], tries.ended[row.positions]
    busy = spread_over(edges, started, ended, ended - started) / np.maximum(np.diff(edges), 1e-9) / row.height
    levels = np.minimum(np.ceil(busy * _LEVELS - 1e-6), _LEVELS).astype(int)
    paths = [
        make("path", d=_blocks(levels == level), class_=f"busy{level}")
        for level in range(1, _LEVELS + 1)
        if (levels == level).any()
    ]
    failed = np.unique(np.round(WIDTH * clock.place(ended[tries.failed[row.positions]]), 0))
    if len(failed):
        paths.append(make("path", d="".join(f"M{number(x)} 0v{number(_LANE)}" for x in failed), class_="fail"))
    share = share_text(float((ended - started).sum()), float(np.diff(edges).sum()) * row.height)
    return _sized(marks(_LANE, f"{row.name}: {_said(tries, row)}, busy {share} of the time", paths, class_="bars"), 1)


def _blocks(chosen: npt.NDArray[np.bool_]) -> str:
    """Neighbouring bins as one block each."""
    padded = np.concatenate([[False], chosen, [False]]).astype(np.int8)
    change = np.flatnonzero(np.diff(padded))
    unit = WIDTH / len(chosen)
    return "".join(
        f"M{number(begin * unit)} 1h{number((end - begin) * unit)}v{number(_LANE - 2)}h{number((begin - end) * unit)}z"
        for begin, end in zip(change[::2], change[1::2], strict=True)
    )


def _sized(drawing: Element, lanes: int) -> Element:
    drawing.set("style", f"height:{lanes * _LANE:.0f}px")
    return drawing
