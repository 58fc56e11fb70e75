"""The frame of a chart: marks that stretch with the page, texts that don't.

A drawing whose texts are scaled along with it can't be read on a phone. Here only the marks are SVG,
stretched to whatever width there is; captions, axes and labels are HTML around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.quantities import seconds_text
from lakeflow.runs.report.markup import make

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from xml.etree.ElementTree import Element

    from lakeflow.runs.report.clock import Clock, Tick
    from lakeflow.runs.report.markup import Node

__all__ = ["WIDTH", "data_table", "figure", "legend", "marks", "number", "plot", "swatch", "time_axis"]

WIDTH = 1000  # units of a drawing's width


def number(value: float) -> str:
    """A coordinate, in few characters."""
    return f"{value:.1f}".removesuffix(".0")


def marks(height: float, label: str, *children: Node | Iterable[Node], class_: str | None = None) -> Element:
    """A drawing, `WIDTH` by `height`, with the sentence that stands for it where it can't be seen."""
    return make(
        "svg",
        *children,
        role="img",
        aria_label=label,
        class_=class_,
        viewBox=f"0 0 {WIDTH} {number(height)}",
        preserveAspectRatio="none",
    )


def figure(caption: str, note: str | None, *children: Node | Iterable[Node]) -> Element:
    """A chart with its caption above and what must be known to read it."""
    words = [make("strong", caption), make("span", note) if note else None]
    return make("figure", make("figcaption", *words), *children)


def plot(drawing: Element, top: str, ticks: Element | None, bottom: str = "0") -> Element:
    """A drawing between a vertical axis, named at both ends, and a horizontal one."""
    axis = make("div", make("span", top), make("span", bottom), class_="y", aria_hidden="true")
    return make("div", axis, drawing, ticks, class_="plot")


def time_axis(clock: Clock) -> Element:
    """Times since the run began, and below them how long each gap was."""
    cut = [
        _label((left + right) / 2, f"// {seconds_text(seconds)} idle //", "gap") for left, right, seconds in clock.gaps
    ]
    return make("div", _labels(clock.ticks()), cut, class_="x gapped" if cut else "x", aria_hidden="true")


def _labels(ticks: Sequence[Tick]) -> list[Element]:
    return [_label(tick.at, tick.label, "minor" if position % 2 else None) for position, tick in enumerate(ticks)]


def _label(at: float, text: str, class_: str | None) -> Element:
    side = "start" if at < 0.04 else "end" if at > 0.96 else None  # noqa: PLR2004  (would stick out)
    names = " ".join(name for name in (class_, side) if name)
    return make("span", text, class_=names or None, style=f"left:{number(100 * at)}%")


def legend(*entries: tuple[str, str]) -> Element:
    """What colours mean: (class of the swatch, words)."""
    return make("ul", (make("li", swatch(name), words) for name, words in entries), class_="legend")


def swatch(name: str) -> Element:
    """A spot of a colour, by its class."""
    return make("span", class_=f"swatch {name}", aria_hidden="true")


def data_table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Node]], *, words: Collection[int] = (0,)
) -> Element:
    """A table that scrolls on its own where the page is narrower.

    Args:
        caption: What it shows.
        columns: Heads.
        rows: Cells in order; the first of each row is its head.
        words: Positions of the columns that hold words; the others hold numbers.
    """

    def kind(position: int) -> str | None:
        return None if position in words else "n"

    head = [make("th", name, scope="col", class_=kind(position)) for position, name in enumerate(columns)]
    body = [
        make(
            "tr",
            (
                make("th" if position == 0 else "td", cell, scope=None if position else "row", class_=kind(position))
                for position, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    table = make("table", make("caption", caption), make("thead", make("tr", head)), make("tbody", body))
    return make("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)
