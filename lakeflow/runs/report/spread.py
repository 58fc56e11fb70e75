"""Skew: how seconds, bytes, rows and memory are spread over shards, and which shards were slowest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lakeflow.quantities import bytes_text, count_text, seconds_text
from lakeflow.runs.report.chart import WIDTH, data_table, figure, marks, number, plot
from lakeflow.runs.report.markup import make
from lakeflow.runs.report.tries import column, marker_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any
    from xml.etree.ElementTree import Element

    import numpy.typing as npt

__all__ = ["slowest", "spread"]

_BARS = 30
_HEIGHT = 80.0
_WIDE = 50.0
"""Largest by smallest: from here on the axis is logarithmic."""
_MANY = 100  # below, the 99th percentile is the largest
_SHOWN = 10
_SLOW = 3.0  # times the median: what the scheduler calls a straggler


def spread(markers: Sequence[Mapping[str, Any]]) -> list[Element]:
    """A histogram for each quantity."""
    seconds = np.array([marker_seconds(marker) for marker in markers], np.float64)
    together = int(column(markers, "sharing").max(initial=1))
    memory = "The most that the worker's process held while the shard ran"
    memory += f", up to {together:,} shards at one time." if together > 1 else "."
    return [
        _histogram("Seconds a shard", seconds, seconds_text, None),
        _histogram("Bytes a shard", column(markers, "bytes_in"), bytes_text, None),
        _histogram("Rows read a shard", column(markers, "rows_in"), count_text, None),
        _histogram("Peak memory a shard", column(markers, "peak_rss_bytes"), bytes_text, memory),
    ]


def _histogram(title: str, values: npt.NDArray[np.float64], text: Callable[[float], str], note: str | None) -> Element:
    least, median, most = float(values.min()), float(np.median(values)), float(values.max())
    said = f"{text(least)} to {text(most)}, median {text(_whole(median))}"
    if len(values) >= _MANY:
        said += f", 99 % up to {text(_whole(_p99(values)))}"
    edges, scale = _edges(values)
    counts = np.histogram(values, edges)[0]
    unit = WIDTH / len(counts)
    top = int(counts.max())
    bars = "".join(
        f"M{number(k * unit + 1)} {number(_HEIGHT)}V{number(min(_HEIGHT * (1 - count / top), _HEIGHT - 1))}"
        f"h{number(unit - 2)}V{number(_HEIGHT)}z"
        for k, count in enumerate(counts)
        if count
    )
    drawing = marks(_HEIGHT, f"{title}: {said}", make("path", d=bars, class_="area"))
    places = (0, len(counts) // 2, len(counts))
    names = [
        make("span", text(_whole(float(edges[place]))), class_=side, style=f"left:{number(100 * place / len(counts))}%")
        for place, side in zip(places, ("start", None, "end"), strict=True)
    ]
    axis = make("div", names, class_="x", aria_hidden="true")
    words = ". ".join(part for part in (said + scale, note) if part)
    return figure(title, words, plot(drawing, f"{top:,}", axis))


def _edges(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], str]:
    """Ends of the bars, and a word where they aren't evenly wide."""
    least, most = float(values.min()), float(values.max())
    if least > 0 and most / least > _WIDE:
        edges = np.geomspace(least, most, _BARS + 1)
        edges[0], edges[-1] = least, most  # rounding must leave no value outside
        return edges, " (logarithmic axis)"
    if most - least <= 1e-6 * abs(most):
        most = least + max(1e-6, abs(least)) * 0.5  # all the same: one bar
    return np.linspace(least, most, _BARS + 1), ""


def _p99(values: npt.NDArray[np.float64]) -> float:
    return float(np.percentile(values, 99, method="higher"))


def _whole(value: float) -> float:
    return float(round(value)) if value >= 100 else value  # noqa: PLR2004  (counts and bytes are whole numbers)


def slowest(markers: Sequence[Mapping[str, Any]]) -> list[Element]:
    """The ten shards that took longest, with what they spent it on."""
    seconds = np.array([marker_seconds(marker) for marker in markers], np.float64)
    median = float(np.median(seconds))
    order = np.argsort(-seconds, kind="stable")[:_SHOWN]
    rows = [_cells(markers[k], float(seconds[k])) for k in order]
    columns = ["shard", "took", "reading", "function", "writing", "rows", "bytes", "peak memory", "attempt", "worker"]
    table = data_table("The slowest shards", columns, rows, words=(0, len(columns) - 1))
    late = int((seconds > _SLOW * median).sum())
    verdict = (
        f"{late:,} of {len(markers):,} shards took more than {_SLOW:.0f} times the median of {seconds_text(median)}."
        if late
        else f"No shard took more than {_SLOW:.0f} times the median of {seconds_text(median)}."
    )
    return [make("p", verdict), table]


def _cells(marker: Mapping[str, Any], seconds: float) -> list[str]:
    parts = marker.get("seconds", {})
    worker = marker.get("worker") or {}
    return [
        str(marker["shard"]),
        seconds_text(seconds),
        *(seconds_text(float(parts.get(name, 0))) for name in ("read", "function", "write")),
        count_text(int(marker.get("rows_in", 0))),
        bytes_text(int(marker.get("bytes_in", 0))),
        bytes_text(int(marker.get("peak_rss_bytes") or 0)),
        str(marker.get("attempt", 0)),
        f"{worker.get('host', '?')} · {worker.get('pid', '?')}",
    ]
