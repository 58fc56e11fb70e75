"""Numbers for Prometheus: of all processes, whichever is asked."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.cache import Cache
from lakeflow.serve import app
from lakeflow.serve.counters import BOUNDS_SECONDS, OTHER_CACHES, Counters
from lakeflow.serve.noted import Noted
from lakeflow.serve.routes import Route

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="[^"\\\n]*",?)+)\} ([0-9.e+-]+)')
ROW = '{route="/v1/caches/{name}/{key}"'


def samples(text: str) -> dict[str, float]:
    """Parse the text format; every line is a comment or a sample."""
    lines = [line for line in text.splitlines() if not line.startswith("# ")]
    matched = [SAMPLE.fullmatch(line) for line in lines]
    assert all(matched), lines
    return {f"{each[1]}{{{each[2]}}}": float(each[3]) for each in matched if each}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one cache."""
    Cache("scores", tmp_path / "caches").load(pa.table({"id": [1, 2]}), key="id")
    return tmp_path / "caches"


def test_what_is_told_of_requests(root: Path, ask: Any) -> None:
    """Requests by route and status, latencies, keys asked for and found, and how old the version is."""
    application = app(root)
    rows = [("GET", f"/v1/caches/scores/{key}") for key in ("1", "2", "3", "x")]
    batch = ("POST", "/v1/caches/scores:batchGet", {"json": {"keys": [1, 2, 3, 4]}})
    *_, answer = ask(application, *rows, batch, ("GET", "/nowhere"), ("GET", "/v1/caches/none/1"), ("GET", "/metrics"))

    found = samples(answer.text)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {
        f'lakeflow_http_requests_total{ROW},status="200"}}': 2,
        f'lakeflow_http_requests_total{ROW},status="404"}}': 2,
        f'lakeflow_http_requests_total{ROW},status="400"}}': 1,
        'lakeflow_http_requests_total{route="/v1/caches/{name}:batchGet",status="200"}': 1,
        'lakeflow_http_requests_total{route="other",status="404"}': 1,
        f'lakeflow_http_request_duration_seconds_bucket{ROW},le="+Inf"}}': 5,
        f"lakeflow_http_request_duration_seconds_count{ROW}}}": 5,
        'lakeflow_cache_keys_asked_total{cache="scores"}': 7,
        'lakeflow_cache_keys_found_total{cache="scores"}': 4,
    }.items() <= found.items()
    assert found[f"lakeflow_http_request_duration_seconds_sum{ROW}}}"] > 0
    assert 0 <= found['lakeflow_cache_version_age_seconds{cache="scores"}'] < 60
    assert "none" not in answer.text


def test_the_age_of_required_caches_is_told_before_anybody_asks(root: Path, ask: Any) -> None:
    """And nothing of one that can't be opened."""
    (answer,) = ask(app(root, require=["scores", "gone"]), ("GET", "/metrics"))

    ages = [name for name in samples(answer.text) if name.startswith("lakeflow_cache_version_age_seconds")]
    assert ages == ['lakeflow_cache_version_age_seconds{cache="scores"}']


def test_any_process_tells_of_all(root: Path, tmp_path: Path, ask: Any) -> None:
    """Also of one that has ended; a file that is just being made is left out."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for _ in range(3):
        ask(app(root, shared=shared), ("GET", "/v1/caches/scores/1"))
    (shared / "1-new.counters").write_bytes(bytes(100))

    (answer,) = ask(app(root, shared=shared), ("GET", "/metrics"))

    assert samples(answer.text)[f'lakeflow_http_requests_total{ROW},status="200"}}'] == 3


def test_without_a_place_for_its_counters(root: Path, tmp_path: Path, ask: Any, caplog: Any) -> None:
    """It answers all the same, and says once that it doesn't count."""
    answers = ask(app(root, shared=tmp_path / "gone"), *[("GET", "/v1/caches/scores/1")] * 2, ("GET", "/metrics"))

    assert [each.status_code for each in answers] == [200] * 3
    assert sum("won't be counted" in record.message for record in caplog.records) == 1


def test_two_real_processes(root: Path, tmp_path: Path, serving: Any) -> None:
    """Each scrape, whichever process it reaches, has every request that was answered before it; none is logged."""
    options = ["--workers", "2", "--no-access-log"]
    alone = {"connection": "close"}  # each connection for itself, which the kernel deals out to both
    with (
        (tmp_path / "log").open("wb") as output,
        serving(root, *options, output=output) as (_, url),
        httpx.Client(base_url=url, timeout=120, headers=alone) as client,
    ):
        for number in range(1, 17):
            assert client.get("/v1/caches/scores/1").status_code == 200
            found = samples(client.get("/metrics").text)
            assert found[f'lakeflow_http_requests_total{ROW},status="200"}}'] == number

    assert (tmp_path / "log").read_bytes() == b""


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(Route),
            st.sampled_from([200, 304, 404, 503]),
            st.sampled_from([0.0, 0.0001, 0.00011, 3.0, 10.0, 11.0]),
            st.sampled_from([None, "a", "n" * 255]),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_sums_are_those_of_all_requests(tmp_path_factory: pytest.TempPathFactory, requests: list[Any]) -> None:
    """Whatever was counted in which process, by status, latency and cache."""
    shared = tmp_path_factory.mktemp("shared")
    processes = [Counters(shared) for _ in range(3)]
    statuses, latencies, asked, found = Counter(), Counter(), Counter(), Counter()
    for process, route, status, seconds, cache, keys in requests:
        processes[process].count(Noted(route, cache, keys, keys // 2), status, seconds)
        statuses[route, status] += 1
        latencies[route, sum(bound < seconds for bound in BOUNDS_SECONDS)] += 1
        if cache and keys:
            asked[cache] += keys
            found[cache] += keys // 2

    total = processes[0].total()

    assert statuses == {(route, status): n for route, each in total.statuses.items() for status, n in each.items()}
    assert latencies == {
        (route, bound): n for route, each in total.latencies.items() for bound, n in enumerate(each) if n
    }
    assert {name: (asked[name], found[name]) for name in asked} == total.keys
    assert sum(each[3] for each in requests) == pytest.approx(sum(total.seconds.values()))


def test_many_caches_are_counted_together() -> None:
    """Past the first 255 a process counts under a name that no cache has; none is lost."""
    counters = Counters()
    for number in range(300):
        counters.count(Noted(Route.ROW, f"cache-{number}", 2, 1), 200, 0.001)

    keys = counters.total().keys

    assert (len(keys), keys[OTHER_CACHES], keys["cache-254"]) == (256, (90, 45), (2, 1))
