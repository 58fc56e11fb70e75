"""The figures of a run at a glance: what came out, what it took, and what the time and the bytes went into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lakeflow.quantities import bytes_text, count_text, seconds_text, share_text
from lakeflow.runs.report.chart import data_table, figure, number, swatch
from lakeflow.runs.report.markup import make
from lakeflow.runs.report.tries import column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from lakeflow.runs.report.clock import Clock
    from lakeflow.runs.report.markup import Node
    from lakeflow.runs.report.record import RunRecord
    from lakeflow.runs.report.tries import Tries

__all__ = ["bytes_read", "glance", "time_spent"]


def glance(record: RunRecord, tries: Tries, clock: Clock) -> Element:
    """Six figures."""
    markers = record.markers
    total = int(record.plan.get("shards", 0))
    worked = float((tries.ended - tries.started).sum())
    peak = float(column(markers, "peak_rss_bytes").max(initial=0.0))
    over = f", over {seconds_text(clock.seconds)}" if clock.gaps else ""
    failed = len(record.failures)
    aside = len(record.quarantined)
    works = "Items" if record.plan.get("kind") == "item" else "Shards"
    facts = [
        (works, f"{record.done:,} of {total:,}", f"{aside:,} set aside" if aside else "done"),
        ("Rows", count_text(_sum(markers, "rows")), f"written, from {count_text(_sum(markers, 'rows_in'))} read"),
        ("Time", seconds_text(clock.busy) if len(tries) else "none", f"{seconds_text(worked)} of work{over}"),
        ("Bytes", bytes_text(_planned(record)), f"planned, {bytes_text(_sum(markers, 'bytes_out'))} written"),
        ("Failed tries", f"{failed:,}", f"of {len(markers) + failed:,}"),
        ("Peak memory", bytes_text(peak) if peak else "none", "of one worker process"),
    ]
    tiles = [
        make("div", make("dt", name), make("dd", make("b", value), make("small", note))) for name, value, note in facts
    ]
    return make("dl", tiles, class_="glance")


def _sum(markers: Sequence[Mapping[str, Any]], *names: str) -> float:
    return float(column(markers, *names).sum())


def _planned(record: RunRecord) -> float:
    return float(record.plan.get("bytes") or _sum(record.markers, "bytes_in"))


def time_spent(record: RunRecord) -> list[Element]:
    """A bar of all seconds that tries took, by what they did."""
    markers = record.markers
    network = _sum(markers, "scan", "wait_network")
    decoding = _sum(markers, "scan", "wait_cpu")
    parts = [
        ("network", "waiting for the store", network),
        ("decoding", "waiting for decoding", decoding),
        ("reading", "reading, the rest", max(0.0, _sum(markers, "seconds", "read") - network - decoding)),
        ("function", "the function", _sum(markers, "seconds", "function")),
        ("writing", "writing", _sum(markers, "seconds", "write")),
        ("lost", "tries that failed", float(column(record.failures, "seconds").sum())),
    ]
    total = sum(seconds for _, _, seconds in parts)
    if total <= 0:
        return [make("p", "Nothing has been timed yet.")]
    _, most, seconds = max(parts, key=lambda part: part[2])
    said = f"Most of it, {share_text(seconds, total)}, is {most}."
    bar = make(
        "div",
        (
            make("span", class_=name, style=f"width:{number(100 * seconds / total)}%")
            for name, _, seconds in parts
            if seconds > 0
        ),
        class_="bar",
        role="img",
        aria_label=", ".join(f"{words} {share_text(seconds, total)}" for _, words, seconds in parts),
    )
    rows: list[list[Node]] = [
        [make("span", swatch(name), words), seconds_text(each), share_text(each, total)] for name, words, each in parts
    ]
    table = data_table("Seconds of all tries", ["spent on", "time", "share"], rows)
    return [figure(f"{seconds_text(total)} of work", said, bar, table)]


def bytes_read(record: RunRecord) -> list[Element]:
    """What was planned, left out, wanted and fetched."""
    scans = [marker for marker in record.markers if marker.get("scan")]
    if not scans:
        return [make("p", "Nothing says what was asked of the store.")]
    planned = _sum(scans, "bytes_in")
    wanted, fetched = _sum(scans, "scan", "bytes_wanted"), _sum(scans, "scan", "bytes_fetched")
    written = _sum(scans, "bytes_out")
    rows = [
        ("planned", planned, "files and parts of files that the scan's filter left"),
        ("pruned", max(0.0, planned - wanted), "columns and row groups that nobody needed"),
        ("wanted", wanted, "footers and column chunks"),
        ("fetched", fetched, "with gaps that were bridged, retries and hedges"),
        ("written", written, "data files of the output"),
    ]
    most = max(planned, fetched, written, 1.0)
    cells: list[list[Node]] = [
        [name, _gauge(size / most), bytes_text(size), make("span", words, class_="quiet")] for name, size, words in rows
    ]
    table = data_table("Bytes of the shards that are done", ["bytes", "", "", "what they are"], cells, words=(0, 1, 3))
    p50, p99 = column(scans, "scan", "first_byte_p50"), column(scans, "scan", "first_byte_p99")
    asked = (
        f"{_sum(scans, 'scan', 'requests'):,.0f} requests, {_sum(scans, 'scan', 'retries'):,.0f} of them retried; "
        f"first byte after {seconds_text(float(np.median(p50)))} (median of the shards' medians), "
        f"{seconds_text(float(p99.max()))} at worst (their 99th percentiles)."
    )
    return [table, make("p", asked)]


def _gauge(share: float) -> Element:
    return make("span", make("span", style=f"width:{number(100 * share)}%"), class_="gauge", aria_hidden="true")
