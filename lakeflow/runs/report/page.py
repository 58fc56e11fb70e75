"""The page: sections under headings, one style sheet, nothing from anywhere else.

It has no script, and its content policy forbids every request: it opens from a disk, a mail or a
bucket, and shows the same there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING

from lakeflow.runs.report.clock import Clock
from lakeflow.runs.report.failures import failures
from lakeflow.runs.report.lineage import lineage
from lakeflow.runs.report.markup import document, make
from lakeflow.runs.report.spread import slowest, spread
from lakeflow.runs.report.summary import bytes_read, glance, time_spent
from lakeflow.runs.report.throughput import throughput
from lakeflow.runs.report.timeline import timeline
from lakeflow.runs.report.tries import tries_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from lakeflow.runs.report.markup import Node
    from lakeflow.runs.report.record import RunRecord

__all__ = ["render_report"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STATES = {
    "committed": ("✓", "committed"),
    "partial": ("◐", "committed in part"),
    "planned": ("▸", "planned"),
    "running": ("▸", "running"),
    "interrupted": ("⏸", "interrupted"),
    "failed": ("✕", "failed"),
    "abandoned": ("✕", "given up, its files may be gone"),
}


def render_report(record: RunRecord) -> str:
    """What happened in a run, as one HTML page."""
    tries = tries_of(record)
    clock = Clock.of(tries.started, tries.ended)
    sections: list[tuple[str, str, Iterable[Node]]] = [("lineage", "Lineage", lineage(record))]
    if record.failures or record.quarantined:
        sections.insert(0, ("failures", "Failures and retries", failures(record)))
    if record.markers or record.failures:
        sections.append(("time", "Where the time went", time_spent(record)))
    if len(tries):
        sections.append(("timeline", "Timeline", [timeline(tries, clock)]))
    if len(tries) and record.markers:
        sections.append(("throughput", "Throughput", throughput(record.markers, tries, clock)))
    if record.markers:
        figures = make("div", spread(record.markers), class_="grid")
        sections.append(("skew", "Skew and memory", [figures, *slowest(record.markers)]))
        sections.append(("bytes", "Bytes", bytes_read(record)))
    return document(_page(record, sections, glance(record, tries, clock)))


def _page(record: RunRecord, sections: list[tuple[str, str, Iterable[Node]]], figures: Element) -> Element:
    run_id = str(record.plan.get("run_id", "?"))
    head = make(
        "head",
        make("meta", charset="utf-8"),
        make("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        make("meta", name="viewport", content="width=device-width, initial-scale=1"),
        make("meta", name="color-scheme", content="light dark"),
        make("title", f"Run {run_id}"),
        make("style", _style()),
    )
    links = [make("li", make("a", title, href=f"#{name}")) for name, title, _ in sections]
    parts = [
        make("section", make("h2", title, id_=f"{name}-title"), content, id_=name, aria_labelledby=f"{name}-title")
        for name, title, content in sections
    ]
    nav = make("nav", make("ul", links), aria_label="Sections")
    body = make("body", _header(record, run_id), make("main", figures, nav, parts), _footer(record))
    return make("html", head, body, lang="en")


def _header(record: RunRecord, run_id: str) -> Element:
    sign, words = _STATES.get(record.state, ("?", record.state))
    badge = make("p", make("span", sign, aria_hidden="true"), f" {words}", class_=f"state {record.state}")
    function = make("code", str(record.plan.get("function", "?")))
    return make("header", badge, make("h1", run_id), make("p", "foreach ", function, class_="quiet"))


def _footer(record: RunRecord) -> Element | None:
    updated = (record.status or {}).get("updated")
    if not updated:
        return None
    moment = datetime.fromtimestamp(float(updated), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return make("footer", make("p", f"The driver was last heard of at {moment}."))


def _style() -> str:
    return (files("lakeflow.runs.report") / "style.css").read_text(encoding="utf-8")
