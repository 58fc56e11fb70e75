"""How fast the run went over its time: rows and bytes a second, and how many tries ran at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lakeflow.quantities import bytes_text, count_text, seconds_text
from lakeflow.runs.report.chart import WIDTH, data_table, figure, marks, number, plot, time_axis
from lakeflow.runs.report.markup import make
from lakeflow.runs.report.tries import column, marker_seconds, spread_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any
    from xml.etree.ElementTree import Element

    import numpy.typing as npt

    from lakeflow.runs.report.clock import Clock
    from lakeflow.runs.report.tries import Tries

__all__ = ["throughput"]

_BINS = 120
_TABLE_ROWS = 12
_HEIGHT = 100.0


def throughput(markers: Sequence[Mapping[str, Any]], tries: Tries, clock: Clock) -> list[Element]:
    """The figures, and their numbers as a table. What a shard read counts evenly over the time it took."""
    timed = [marker for marker in markers if marker.get("started")]
    started = column(timed, "started")
    ended = started + np.array([marker_seconds(marker) for marker in timed], np.float64)
    rows, size = column(timed, "rows_in"), column(timed, "bytes_in")

    def rates(edges: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
        seconds = np.maximum(np.diff(edges), 1e-9)
        running = spread_over(edges, tries.started, tries.ended, tries.ended - tries.started)
        return [
            each / seconds
            for each in (spread_over(edges, started, ended, rows), spread_over(edges, started, ended, size), running)
        ]

    worked = float((tries.ended - tries.started).sum())
    fine = rates(clock.edges(_BINS))
    panels = [
        _panel("Rows read a second", fine[0], rows.sum() / clock.busy, lambda v: f"{count_text(v)}/s", clock),
        _panel("Planned bytes a second", fine[1], size.sum() / clock.busy, lambda v: f"{bytes_text(v)}/s", clock),
        _panel("Tries at one time", fine[2], worked / clock.busy, count_text, clock),
    ]
    return [*panels, _table(clock, rates)]


def _panel(
    title: str, values: npt.NDArray[np.float64], mean: float, text: Callable[[float], str], clock: Clock
) -> Element:
    top = _round_up(float(values.max(initial=0.0)))
    steps = "".join(
        f"V{number(_HEIGHT * (1 - value / top))}H{number(WIDTH * (k + 1) / len(values))}"
        for k, value in enumerate(values)
    )
    spoken = f"{title}: {text(_round(mean))} on average, {text(_round(float(values.max())))} at most"
    lines = make("path", d=f"M0 {number(_HEIGHT / 2)}H{WIDTH}M0 0.5H{WIDTH}", class_="grid")
    area = make("path", d=f"M0 {number(_HEIGHT)}{steps}V{number(_HEIGHT)}z", class_="area")
    drawing = marks(_HEIGHT, spoken, lines, area)
    highest = text(top).replace(".00 ", " ").replace(".0 ", " ")
    return figure(title, spoken.partition(": ")[2] + ".", plot(drawing, highest, time_axis(clock)))


def _table(clock: Clock, rates: Callable[[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]) -> Element:
    edges = clock.edges(_TABLE_ROWS)
    rows = [
        [
            f"{seconds_text(begin)} to {seconds_text(end)}",
            f"{count_text(_round(each[0]))}/s",
            f"{bytes_text(each[1])}/s",
            f"{each[2]:.1f}",
        ]
        for begin, end, each in zip(
            edges[:-1] - edges[0], edges[1:] - edges[0], np.column_stack(rates(edges)), strict=True
        )
    ]
    table = data_table("Throughput", ["since the run began", "rows", "bytes", "running"], rows)
    return make("details", make("summary", "The same as a table"), table)


def _round(value: float) -> float:
    return round(value) if value >= 10 else round(value, 1)  # noqa: PLR2004  (what can be told apart)


def _round_up(value: float) -> float:
    """An axis ends on a number that has a half."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if value <= step * power * 1.0001))
