"""The page as a real browser shows it: light and dark, on a desk and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lakeflow.runs.report import render_report

if TYPE_CHECKING:
    from pathlib import Path

# Every text against what is behind it, by WCAG 2.2's formula for contrast (1.4.3).
CONTRASTS = """
(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = node => {
    for (let each = node; each; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  document.querySelectorAll("details").forEach(each => each.open = true);
  return [...document.querySelectorAll("body *")]
    .filter(node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()))
    .filter(node => !node.closest("svg"))
    .map(node => {
      const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), node.tagName + "." + node.className + ": " + node.textContent.slice(0, 40)];
    })
    .filter(([ratio]) => ratio < 4.5).map(([ratio, name]) => ratio.toFixed(2) + " " + name);
})()
"""
SMALLEST = "Math.min(...[...document.querySelectorAll('body *')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
SAID = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


@pytest.fixture
def page(record: Any, failure: Any, tmp_path: Path) -> Path:
    """A run with everything in it, and names that try to break out."""
    hostile = "</script><script>console.error('out')</script><img src=x onerror=alert(1)>"
    failures = [
        failure("shard-00002", message=hostile, traceback=hostile * 20, output="\x1b[31mred"),
        failure("shard-00001", type="ThrottledError", kind="transient", next="again", traceback=""),
    ]
    seal = {"split": {}, "quarantined": ["shard-00002"]}
    made = tmp_path / "run.html"
    made.write_text(render_report(record(60, 4, failures=failures, seal=seal, pause=40_000.0)), encoding="utf-8")
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_a_browser_shows_it(browser: Any, page: Path, width: int, scheme: str) -> None:
    """Nothing on the console, no request, nothing wider than the window, every text with enough contrast."""
    browser.open(page, width, scheme)

    low = browser.run(CONTRASTS)
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    widest = browser.run("document.documentElement.scrollWidth")
    small = browser.run(SMALLEST)
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    said = [e for e in browser.events if e["method"] in SAID]
    assert said == []
    assert asked == [page.as_uri()]
    assert low == []
    assert widest <= width
    assert small >= 12
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_forty_thousand_shards_in_a_browser(browser: Any, record: Any, tmp_path: Path) -> None:
    """They are drawn in a few hundred elements a worker, within the window."""
    page = tmp_path / "run.html"
    page.write_text(render_report(record(40_000, 64)), encoding="utf-8")

    browser.open(page, 1280, "light")

    assert browser.run("document.querySelectorAll('*').length") < 5_000
    assert browser.run("document.documentElement.scrollWidth") <= 1280
    assert browser.run("document.querySelectorAll('.timeline svg').length") == 40
