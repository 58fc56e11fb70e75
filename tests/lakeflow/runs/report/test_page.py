"""The page is one well-formed file that asks for nothing, whatever the run and its names are."""

from __future__ import annotations

import itertools
import re
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.runs.report import RunRecord, render_report
from lakeflow.runs.report.markup import document, make

if TYPE_CHECKING:
    from collections.abc import Callable

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Outline(HTMLParser):
    """What a parser finds: tags with their attributes, texts by the tag they are in, and nesting that is wrong."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.wrong: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it, and that it is open."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It ends what was opened last."""
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.texts.append((self._open[-1] if self._open else "", data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def style(self) -> str:
        """The style sheet."""
        return "".join(data for tag, data in self.texts if tag == "style")

    @property
    def text(self) -> str:
        """All that is shown."""
        return "".join(data for tag, data in self.texts if tag != "style")


FORBIDDEN = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "audio", "video"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></title></pre><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<!--", "]]>", "&lt;b&gt; &amp;", "javascript:alert(1)", "https://example.com/x?token=1",
]  # fmt: skip


@pytest.fixture
def full(record: Callable[..., RunRecord], failure: Callable[..., dict[str, Any]]) -> RunRecord:
    """A run with everything in it: retries, failures, shards set aside, a pause of ten hours."""
    failures = [
        failure("shard-00002"),
        failure("shard-00007"),
        failure("shard-00001", type="ThrottledError", kind="transient", next="again", traceback="", output=""),
        failure("shard-00004", type="WorkerLostError", kind="worker-lost", next="alone", worker={}, traceback=""),
    ]
    seal = {"format": 1, "state": "publish", "split": {}, "quarantined": ["shard-00002", "shard-00007"]}
    return record(40, 4, failures=failures, seal=seal, pause=36_000.0)


def test_a_page_is_accessible(full: RunRecord) -> None:
    """Language, one h1, headings that skip no level, captions, scopes, and words for every drawing."""
    found = Outline(render_report(full))

    levels = [int(tag[1]) for tag, _ in found.tags if tag in ("h1", "h2", "h3", "h4")]
    drawings = [attributes for _, attributes in found.tags if attributes.get("role") == "img"]
    assert found.wrong == []
    assert found.of("html") == [{"lang": "en"}]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    assert len(found.of("table")) == len(found.of("caption")) > 3
    assert all(head.get("scope") in ("col", "row") for head in found.of("th"))
    assert len(drawings) >= len(found.of("svg")) > 5
    assert all(each["aria-label"] for each in drawings)
    assert {"main", "header", "nav", "figcaption"} <= {tag for tag, _ in found.tags}


def test_a_page_asks_for_nothing(full: RunRecord) -> None:
    """No script, no address but those of its own sections, and a policy that forbids every request."""
    found = Outline(render_report(full))

    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    targets = [value for _, each in found.tags for name, value in each.items() if name in ("href", "src", "srcset")]
    [policy] = [each["content"] for each in found.of("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert {tag for tag, _ in found.tags}.isdisjoint(FORBIDDEN)
    assert set(targets) <= {f"#{each}" for each in ids}
    assert len(ids) == len(set(ids))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "url(" not in render_report(full)
    assert "@import" not in render_report(full)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_are_text(record: Any, failure: Any, hostile: str) -> None:
    """Whatever stands in a run's files is shown as it is, and adds no element and no attribute."""
    names = ("type", "message", "hint", "traceback", "output", "kind", "next")
    failures = [failure(hostile, **dict.fromkeys(names, value), worker={"host": value, "pid": value})
                for value in ("harmless", hostile)]  # fmt: skip
    changes = {
        "run_id": hostile, "function": hostile, "params": {hostile: hostile}, "inputs": [hostile],
        "outputs": [{"name": hostile, "table": hostile, "mode": hostile}], "owner": {"user": hostile},
    }  # fmt: skip
    given = record(failures=failures)
    plain = Outline(render_report(RunRecord({**given.plan, **{name: [] for name in changes}}, given.markers, failures)))

    found = Outline(render_report(RunRecord({**given.plan, **changes}, given.markers, failures)))

    allowed = {tag for tag, _ in plain.tags}
    named = {name for _, attributes in plain.tags for name in attributes}
    assert found.wrong == []
    assert {tag for tag, _ in found.tags} <= allowed
    assert {name for _, attributes in found.tags for name in attributes} <= named
    assert found.text.count(hostile) >= 10
    assert found.style == plain.style


@given(st.text(), st.text())
def test_any_text_comes_through(content: str, value: str) -> None:
    """A text and an attribute of any characters are found again, controls as their pictures, and nothing else is."""
    page = document(make("html", make("p", content, title=value), content))

    found = Outline(page)

    page.encode()
    assert [("html", {}), ("p", {"title": shown(value)})] == found.tags
    assert found.text.strip("\n") == (shown(content) * 2).strip("\n")


def shown(text: str) -> str:
    """What a page shows of it."""
    return "".join(each for each in make("i", text).itertext())


@pytest.mark.parametrize("ugly", ["\x00", "\x1b[31m", "\x7f", "\x85", "\ud800", "\ufffe", "\u202e", "\u2066"])
def test_controls_are_shown_and_do_nothing(ugly: str) -> None:
    """What HTML or UTF-8 can't hold, and what would turn the text around, becomes a character that can be seen."""
    page = document(make("p", f"a{ugly}b"))

    assert ugly[0] not in page.encode().decode()
    assert re.fullmatch("a.+b", Outline(page).text.strip())


def test_a_run_that_has_not_begun(record: Callable[..., RunRecord]) -> None:
    """Only a plan: the page says what it was going to do."""
    found = Outline(render_report(RunRecord(record().plan)))

    assert found.wrong == []
    assert "0 of 8" in found.text
    assert "not published" in found.text


def test_a_run_over_nothing(record: Callable[..., RunRecord]) -> None:
    """No shard, one commit."""
    found = Outline(render_report(record(0)))

    assert found.wrong == []
    assert "0 of 0" in found.text
    assert "2263017471885463211" in found.text


@pytest.mark.parametrize(("shards", "workers"), [(40_000, 24), (4_000, 1_000), (1_199, 24)])
def test_a_page_stays_small(record: Any, failure: Any, shards: int, workers: int) -> None:
    """Below 1 MB for 40,000 shards, on few workers or a thousand, with 3,000 failures and long tracebacks."""
    began = failure("shard-00000")["started"]
    failures = [
        failure(
            f"shard-{k:05d}",
            started=began + 2 * k,
            message="x" * 5000,
            traceback=f'  File "f{k % 50}.py", line {k % 7}\n' + "y" * 8_000,
        )
        for k in range(3000)
    ]
    seal = {"split": {}, "quarantined": [each["shard"] for each in failures]}

    page = render_report(record(shards, workers, failures=failures, seal=seal))

    assert Outline(page).wrong == []
    assert len(page.encode()) < 1_000_000


def test_markers_of_an_older_format(record: Callable[..., RunRecord]) -> None:
    """Markers that don't say when they began, where, or what they asked of the store still make a page."""
    whole = record()
    old = [
        {name: each[name] for name in ("shard", "attempt", "rows_in", "rows", "bytes_in", "seconds", "peak_rss_bytes")}
        for each in whole.markers
    ]

    found = Outline(render_report(RunRecord(whole.plan, old, committed=whole.committed)))

    assert found.wrong == []
    assert "8 of 8" in found.text
    assert "The slowest shards" in found.text


def test_a_split_shard_counts_with_its_last_part(record: Callable[..., RunRecord]) -> None:
    """Its parts are no shards of their own."""
    whole = record(3)
    parts = [{**whole.markers[0], "shard": f"shard-00000.{k}of2"} for k in (1, 2)]
    seal = {"split": {"shard-00000": 2}, "quarantined": []}

    both = RunRecord(whole.plan, [*parts, *whole.markers[1:]], seal=seal)
    one = RunRecord(whole.plan, [parts[0], *whole.markers[1:]], seal=seal)

    assert (both.done, one.done) == (3, 2)


def test_what_was_done_about_a_failure_is_told(full: RunRecord) -> None:
    """Why, where, what happened to the shard, and the command that shows it again."""
    text = Outline(render_report(full)).text

    for said in ("ZeroDivisionError", "set aside", "2 shards", "line 41", "loaded 12 rules", "tried again alone"):
        assert said in text
    assert "lakeflow reproduce match-2026-11-23 shard-00007" in text


def test_like_failures_are_told_once(record: Any, failure: Any) -> None:
    """A thousand shards that fail at one line of code are one thing to read; another line is another."""
    alike = [failure(f"shard-{k:05d}", message=f"row {k} is bad") for k in range(1000)]
    other = failure("shard-00003", traceback='  File "/home/ada/jobs/match.py", line 42, in score\n')

    found = Outline(render_report(record(failures=[*alike, other])))

    assert len(found.of("article")) == 2
    assert "1,000 tries of 1,000 shards" in found.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "committed"),
        ({"seal": {"quarantined": ["shard-00001"]}}, "partial"),
        ({"committed": {}, "status": {"state": "interrupted"}}, "interrupted"),
        ({"committed": {}}, "planned"),
        ({"committed": {}, "status": {"state": "running", "updated": 0}}, "running"),
        ({"committed": {}, "status": {"state": "running", "updated": -600}}, "interrupted"),
        ({"seal": {"state": "abandoned"}, "committed": {}}, "abandoned"),
    ],
)
def test_a_state_is_what_the_folder_proves(record: Any, changes: dict[str, Any], expected: str) -> None:
    """A commit counts more than what the driver said last."""
    status = dict(changes.get("status", {}))
    if "updated" in status:  # seconds from now
        status["updated"] += time.time()
        changes = {**changes, "status": status}
    assert record(**changes).state == expected
