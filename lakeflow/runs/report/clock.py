"""The time axis that charts share: from 0 to 1, with the hours cut out in which nothing ran.

A run that crashed on Friday and went on on Monday is two busy stretches; drawn to scale both would be
a line. A gap that is long beside the busy time is drawn as a short one and says how long it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakeflow.quantities import seconds_text

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Clock", "Tick"]

_GAP_SECONDS = 30.0
_GAP_SHARE = 0.1  # of the busy time: a shorter gap is drawn to scale
_GAP_WIDTH = 0.03
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400)
_TICKS = 6
_APART = 0.09


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    at: float
    """0..1."""
    label: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Unix seconds -> 0..1."""

    times: npt.NDArray[np.float64]
    """Knots: where each busy stretch begins and ends; pairs, ascending."""
    places: npt.NDArray[np.float64]
    """Where these are, ascending from 0 to 1."""

    @classmethod
    def of(cls, started: npt.NDArray[np.float64], ended: npt.NDArray[np.float64]) -> Clock:
        """The axis for what ran in these intervals, ordered by their begin."""
        if not len(started):
            return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
        reached = np.maximum.accumulate(ended)
        gaps = started[1:] - reached[:-1]
        busy = float(reached[-1] - started[0] - gaps[gaps > _GAP_SECONDS].sum())
        cut = np.flatnonzero(gaps > max(_GAP_SECONDS, _GAP_SHARE * busy))
        begins = np.concatenate([started[:1], started[1:][cut]])
        ends = np.concatenate([reached[:-1][cut], reached[-1:]])
        ends = np.maximum(ends, begins + 1e-3)  # a run of no length still has an axis
        widths = (ends - begins) / (ends - begins).sum() * max(0.5, 1 - _GAP_WIDTH * len(cut))
        gap = (1 - widths.sum()) / len(cut) if len(cut) else 0.0
        left = np.concatenate([[0.0], np.cumsum(widths + gap)[:-1]])
        places = np.column_stack([left, left + widths]).ravel()
        places[-1] = 1.0
        return cls(np.column_stack([begins, ends]).ravel(), places)

    def place(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Where these moments are, 0..1."""
        return np.interp(times, self.times, self.places)

    def edges(self, bins: int) -> npt.NDArray[np.float64]:
        """The moments between `bins` equally wide parts of the axis: bins + 1 of them."""
        return np.interp(np.linspace(0, 1, bins + 1), self.places, self.times)

    @property
    def seconds(self) -> float:
        """From the first begin to the last end, gaps included."""
        return float(self.times[-1] - self.times[0])

    @property
    def busy(self) -> float:
        """Seconds without the gaps."""
        return float((self.times[1::2] - self.times[::2]).sum())

    @property
    def gaps(self) -> list[tuple[float, float, float]]:
        """What was cut: from where to where on the axis, and how many seconds."""
        return [
            (float(self.places[k]), float(self.places[k + 1]), float(self.times[k + 1] - self.times[k]))
            for k in range(1, len(self.times) - 1, 2)
        ]

    def ticks(self) -> list[Tick]:
        """Round times since the beginning, or since the end of the gap before; a handful, none in a gap."""
        step = next((each for each in _STEPS if self.busy / each <= _TICKS), self.busy / _TICKS)
        found: list[Tick] = []
        for begin, end in zip(self.times[::2], self.times[1::2], strict=True):
            sign = "+" if begin > self.times[0] else ""
            for k in range(int((end - begin) / step) + 1):
                at = float(self.place(np.array([begin + k * step]))[0])
                if not found or at - found[-1].at >= _APART:
                    found.append(Tick(at, sign + _label(k * step)))
        return found


def _label(seconds: float) -> str:
    text = seconds_text(seconds)
    return text.removesuffix(" 00 s").replace(".0 s", " s").removesuffix(" 00 min")
