"""What failed: like failures together, each with a traceback, what was printed, and how to see it again."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

from lakeflow.quantities import number_of
from lakeflow.runs.plan import shell_options
from lakeflow.runs.report.chart import data_table
from lakeflow.runs.report.markup import make

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from lakeflow.runs.report.record import RunRecord

__all__ = ["failures"]

_MOST_GROUPS = 20
_MOST_NAMES = 6
_MOST_SET_ASIDE = 100
_FRAME = re.compile(r'^ *File "(.*?)", line (\d+)', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)
_KINDS = {
    "transient": "the store failed",
    "lasting": "the store or the data failed for good",
    "function": "the function raised",
    "out-of-memory": "out of memory",
    "timeout": "took too long",
    "worker-lost": "the worker was lost",
}
_NEXT = {
    "again": "tried again",
    "alone": "tried again alone",
    "split": "split into parts",
    "quarantined": "set aside",
    "raised": "ended the run",
}


def failures(record: RunRecord) -> list[Element]:
    """The section's content."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for failure in sorted(record.failures, key=lambda each: float(each.get("started") or 0)):
        groups.setdefault(_alike(failure), []).append(failure)
    ordered = sorted(groups.values(), key=len, reverse=True)
    shown = [_group(record, group) for group in ordered[:_MOST_GROUPS]]
    more = sum(map(len, ordered[_MOST_GROUPS:]))
    if more:
        kinds = len(ordered) - _MOST_GROUPS
        shown.append(make("p", f"{more:,} more failures, of {kinds:,} other kinds, are in the run's folder."))
    return [*_set_aside(record), *shown]


def _alike(failure: Mapping[str, Any]) -> tuple[str, ...]:
    """Failures of one kind and type at one line of code are one thing to look into."""
    frames = _FRAME.findall(str(failure.get("traceback") or ""))
    where = frames[-1] if frames else (re.sub(r"\d+", "#", str(failure.get("message", ""))),)
    return (str(failure.get("kind")), _raised(failure), *where)


def _raised(failure: Mapping[str, Any]) -> str:
    """The type of what the function raised, which the traceback ends with; else that of the run's own error."""
    text = str(failure.get("traceback") or "")
    frames = list(_FRAME.finditer(text))
    found = _RAISED.search(text, frames[-1].end()) if frames and failure.get("kind") == "function" else None
    return found[1] if found else str(failure.get("type", ""))


def _set_aside(record: RunRecord) -> list[Element]:
    ids = record.quarantined
    if not ids:
        return []
    last = {str(failure["shard"]): failure for failure in sorted(record.failures, key=lambda f: f.get("attempt", 0))}
    rows = [
        [each, _KINDS.get(str(last.get(each, {}).get("kind")), "unknown"), _short(last.get(each, {}).get("message"))]
        for each in ids[:_MOST_SET_ASIDE]
    ]
    title = f"Set aside: {number_of(len(ids), 'shard')} whose rows are not in the output"
    if len(ids) > len(rows):
        title += f" (the first {len(rows):,})"
    return [data_table(title, ["shard", "why", "message"], rows, words=range(3))]


def _short(message: object) -> str:
    text = str(message or "").strip().partition("\n")[0]
    return text if len(text) <= 160 else text[:157] + "..."  # noqa: PLR2004  (a line)


def _group(record: RunRecord, group: Sequence[Mapping[str, Any]]) -> Element:
    last = group[-1]
    works = list(dict.fromkeys(str(failure["shard"]) for failure in group))
    count = f"{number_of(len(group), 'try', 'tries')} of {number_of(len(works), 'shard')}"
    kind = str(last.get("kind"))
    head = make(
        "h3", make("span", _raised(last), class_="type"), " ", make("span", f"{_KINDS.get(kind, kind)}: {count}")
    )
    more = len(works) - _MOST_NAMES
    names = ", ".join(works[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
    then = Counter(_NEXT.get(str(failure.get("next")), str(failure.get("next"))) for failure in group)
    afterwards = ", ".join(f"{word} ({n:,})" if len(then) > 1 else word for word, n in then.most_common())
    facts = [("Message", str(last.get("message", ""))), ("Hint", str(last.get("hint") or "")), ("Shards", names)]
    facts.append(("Then", afterwards))
    listed = [make("div", make("dt", name), make("dd", text)) for name, text in facts if text]
    run_id, options = str(record.plan.get("run_id", "")), shell_options(record.plan.get("outputs", ()))
    again = f"lakeflow reproduce {shlex.quote(run_id)} {shlex.quote(works[-1])}{options}"
    command = make("div", make("dt", "See it again"), make("dd", make("code", again)))
    return make(
        "article",
        head,
        make("dl", listed, command),
        _folded(f"Traceback of {last['shard']}", last.get("traceback")),
        _folded(f"Printed by {last['shard']}", last.get("output")),
        class_="failure",
    )


def _folded(title: str, text: object) -> Element | None:
    if not text:
        return None
    code = make("pre", make("code", str(text).strip("\n")), tabindex="0", role="region", aria_label=title)
    return make("details", make("summary", title), code)
