"""Where the rows come from and where they went: input snapshot, code, output snapshot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lakeflow.quantities import count_text
from lakeflow.runs.report.markup import make

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from lakeflow.runs.report.markup import Node
    from lakeflow.runs.report.record import RunRecord

__all__ = ["lineage"]

_MOST_TEXT = 2000  # characters of a parameter


def lineage(record: RunRecord) -> list[Element]:
    """Inputs, function, outputs as three boxes, and what else decided the rows."""
    plan = record.plan
    inputs = [_named(str(each)) for each in plan.get("inputs", ())] or [make("p", "no table")]
    code = [make("p", make("b", str(plan.get("function", "?")))), _fact("code", plan.get("code"))]
    for each in record.codes:
        function = None if each.get("function") == plan.get("function") else make("b", str(each.get("function")))
        code.append(make("p", function, _small(f"since {each.get('since')} code", each["file"])))
    outputs = [_output(record, output) for output in plan.get("outputs", ())] or [make("p", "values only")]
    boxes = [
        make("li", make("h3", title), content)
        for title, content in (("Read", inputs), ("Called", code), ("Written", outputs))
    ]
    decided = make("details", make("summary", "All that decided the rows"), make("dl", _decided(plan), class_="facts"))
    return [make("ol", boxes, class_="lineage"), decided]


def _named(source: str) -> Element:
    table, _, snapshot = source.rpartition("@")
    return make("p", make("b", table or source), *(_small("snapshot", snapshot) if table else ()))


def _small(name: str, value: object) -> list[Node]:
    return [make("small", name, " ", make("code", str(value)))]


def _fact(name: str, value: object) -> Element:
    return make("p", _small(name, value))


def _output(record: RunRecord, output: Mapping[str, Any]) -> Element:
    name = str(output.get("name", output.get("table", "?")))
    table = str(output.get("table", name))
    done = record.committed.get(name)
    words = [make("b", table), make("small", str(output.get("mode", "append")))]
    if done is None:
        return make("p", words, make("small", "not published"))
    rows = done.get("rows")
    said = make("small", f"{count_text(rows)} rows") if rows is not None else None
    return make("p", words, _small("snapshot", done.get("publication")), said)


def _decided(plan: Mapping[str, Any]) -> list[Element]:
    owner = plan.get("owner") or {}
    recipe = plan.get("recipe") or {}
    params = plan.get("params") or {}
    named: list[tuple[str, object]] = [
        ("Plan", plan.get("digest")),
        ("Created", plan.get("created")),
        ("By", " on ".join(str(owner[key]) for key in ("user", "host") if owner.get(key))),
        ("Columns", ", ".join(map(str, recipe.get("columns") or ()))),
        ("Where", recipe.get("where")),
        *((f"Parameter {name}", json.dumps(value, ensure_ascii=False)) for name, value in params.items()),
        *((f"Shared {name}", digest) for name, digest in (plan.get("shared") or {}).items()),
        ("Shards", plan.get("shards_digest")),
    ]
    return [make("div", make("dt", name), make("dd", make("code", _cut(str(value))))) for name, value in named if value]


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "..."
