"""Runs that never ran, of any size, and a real browser to look at their pages."""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from lakeflow.runs.report import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

BEGAN = 1_795_000_000.0


def _plan(shards: int = 8, **changes: Any) -> dict[str, Any]:
    """A plan, as `plan.json` has it."""
    return {
        "format": 2,
        "run_id": "match-2026-11-23",
        "created": "2026-11-23T20:13:25Z",
        "owner": {"user": "ada", "host": "driver-1"},
        "function": "jobs.match:score",
        "code": "6f1ed002ab5595859014ebf0951522d9",
        "params": {"threshold": 0.376, "country": "DE"},
        "shared": {"names": "0cc175b9c0f1b6a831c399e269772661"},
        "inputs": ["kg.pairs@8999227723777029880"],
        "shards": shards,
        "bytes": shards * 40_000_000,
        "rows": shards * 500_000,
        "shards_digest": "e3b0c44298fc1c149afbf4c8996fb924",
        "digest": "9f86d081884c7d659a2feaa0c55ad015",
        "outputs": [{"name": "matches", "table": "kg.matches", "mode": "append"}],
        "recipe": {"table": "kg.pairs", "snapshot_id": 8999227723777029880, "columns": ["id"], "where": "id > 3"},
        **changes,
    }


def _marker(shard: str, started: float, seconds: float, worker: tuple[str, int], **changes: Any) -> dict[str, Any]:
    """A marker, as `done/` has it."""
    return {
        "format": 1,
        "shard": shard,
        "attempt": 0,
        "rows_in": 500_000,
        "rows": 21_000,
        "bytes_in": 40_000_000,
        "bytes_out": 900_000,
        "started": started,
        "seconds": {"read": 0.3 * seconds, "function": 0.6 * seconds, "write": 0.1 * seconds},
        "scan": {
            "requests": 9, "bytes_wanted": 21_000_000, "bytes_fetched": 22_500_000, "retries": 0,
            "wait_network": 0.2 * seconds, "wait_cpu": 0.05 * seconds,
            "first_byte_p50": 0.031, "first_byte_p99": 0.12,
        },
        "peak_rss_bytes": 410_000_000,
        "worker": {"host": worker[0], "pid": worker[1]},
        **changes,
    }  # fmt: skip


def _failure(shard: str, started: float = BEGAN, **changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "shard": shard,
        "attempt": 0,
        "kind": "function",
        "type": "ZeroDivisionError",
        "message": f"{shard}: score raised ZeroDivisionError: division by zero",
        "hint": "mend the function, then resume the run",
        "traceback": 'Traceback (most recent call last):\n  File "/home/ada/jobs/match.py", line 41, in score\n'
        "    return 1 / total\nZeroDivisionError: division by zero\n",
        "output": "loaded 12 rules\n",
        "started": started,
        "seconds": 1.5,
        "worker": {"host": "node-1", "pid": 4001},
        "next": "quarantined",
        **changes,
    }


@pytest.fixture
def failure() -> Callable[..., dict[str, Any]]:
    """A maker of failures, as `failed/` has them."""
    return _failure


@pytest.fixture
def record() -> Callable[..., RunRecord]:
    """A maker of committed runs: `shards` shards on `workers` workers, some of them failed before."""

    def make(
        shards: int = 8,
        workers: int = 3,
        *,
        seed: int = 0,
        failures: Sequence[Mapping[str, Any]] = (),
        pause: float = 0.0,
        **changes: Any,
    ) -> RunRecord:
        chance = random.Random(seed)
        free = sorted((BEGAN + chance.uniform(0, 1), (f"node-{1 + k // 4}", 4000 + k)) for k in range(workers))
        markers = []
        for k in range(shards):
            begin, worker = heapq.heappop(free)
            if pause and k >= shards // 2 and begin < BEGAN + pause:
                begin += pause
            seconds = chance.lognormvariate(1.0, 0.6)
            size = int(chance.lognormvariate(17.3, 0.5))
            markers.append(
                _marker(
                    f"shard-{k:05d}", begin, seconds, worker, bytes_in=size, rows_in=size // 80, rows=size // 1900,
                    peak_rss_bytes=int(3e8 + 4 * size),
                )
            )  # fmt: skip
            heapq.heappush(free, (begin + seconds + 0.02, worker))
        committed = {"matches": {"publication": "2263017471885463211", "rows": sum(m["rows"] for m in markers)}}
        given = {"plan": _plan(shards), "markers": markers, "failures": failures, "committed": committed, **changes}
        return RunRecord(**given)

    return make


class Browser:
    """Chromium without a window, spoken to through a pipe in its DevTools protocol."""

    def __init__(self, program: str, profile: Path) -> None:
        given, self._write = os.pipe()
        self._read, taken = os.pipe()
        # Out of the way of 3 and 4, where the browser wants them.
        to_read, to_write = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (given, taken))

        def plug() -> None:
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        self._process = subprocess.Popen(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--remote-debugging-pipe",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=plug,  # noqa: PLW1509
        )  # fmt: skip
        for each in (given, taken, to_read, to_write):
            os.close(each)
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = None
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    _session: str | None = None

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and wait for its answer; what happens meanwhile is in `events`."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": params, **session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]
            self.events.append(found)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser is gone"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path, width: int, scheme: str) -> None:
        """Show a page in a window of some width, light or dark; `events` begins anew."""
        self.events.clear()
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser; without one the test is skipped."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
