"""Numbers as people read them: bytes, seconds, counts, and rates of these.

Bytes are decimal, as networks, disks and stores count them. Three digits are enough to compare two
figures and few enough to read at a glance.
"""

from __future__ import annotations

import math

__all__ = ["bytes_text", "count_text", "number_of", "seconds_text", "share_text"]

_STEP = 1000
_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")
_COUNTS = ("", "k", "M", "G", "T")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def bytes_text(number: float) -> str:
    """`1.24 GB`."""
    return _scaled(number, _BYTES)


def count_text(number: float) -> str:
    """All digits below 100,000; `1.24 M` above."""
    if number < 100 * _STEP and float(number).is_integer():
        return f"{int(number):,}"
    return _scaled(number, _COUNTS)


def number_of(count: int, one: str, many: str | None = None) -> str:
    """`1 shard`, `40,000 shards`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def seconds_text(seconds: float) -> str:
    """`850 ms`, `12.3 s`, `4 min 05 s`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 0.9995:  # noqa: PLR2004  (what would be printed as 1000 ms)
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def share_text(part: float, whole: float) -> str:
    """`12 %`; a part that is there is never shown as none, nor one that isn't all as all."""
    if whole <= 0:
        return "0 %"
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "< 1 %"
    if 99 < percent < 100:  # noqa: PLR2004
        return "> 99 %"
    return f"{percent:.0f} %"


def _scaled(number: float, units: tuple[str, ...]) -> str:
    if not math.isfinite(number):
        return "unknown"
    power = 0
    while power < len(units) - 1 and number >= _STEP * (0.9995 if power else 0.99995):
        number /= _STEP
        power += 1
    if power == 0:
        return f"{number:.0f} {units[0]}".rstrip()
    digits = max(0, 2 - int(math.log10(number)))
    return f"{number:.{digits}f} {units[power]}"
