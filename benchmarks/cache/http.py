"""Look-ups over HTTP: `lakeflow serve` beside FastAPI with redis-py, a worker for each core, 64 connections."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from benchmarks.cache.lookups import asked_keys, percentile
from benchmarks.cache.requests import Answered, batch_request, get_request, send_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cache.parts import Task

__all__ = ["measured"]

_CONNECTIONS = 64
_BATCH = 100
_GETS = 30_000
_BATCHES = 5_000
_START_SECONDS = 60
_END_SECONDS = 10
_JSON = "application/json"
_WORKERS = len(os.sched_getaffinity(0))
_FOR_ALL = ("--host", "127.0.0.1", "--workers", str(_WORKERS))
_SERVE = ("--no-access-log", "--drain-seconds", "0")
_UVICORN = ("--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools")


def measured(module: Any, task: Task) -> dict[str, Any]:
    """Single keys, then batches of 100; beside them what the generator reaches where the server does nothing.

    `batch_keys_per_s` is that of the fastest form of answer that there is, `batch_json_keys_per_s` that of JSON.
    """
    service = _SERVICES[module.__name__.rpartition(".")[2]]
    gets, batches = min(_GETS, 30 * task.rows), min(_BATCHES, task.rows)
    single = [get_request(service["get"], key) for key in asked_keys(task, gets)]
    keys = asked_keys(task, _BATCH * batches, after=1)
    requests = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
    with _served(service["command"], task) as port:
        one = _warmed(port, single)
        many = {
            form: _warmed(port, [batch_request(service["batch"], each, form) for each in requests])
            for form in service["forms"]
        }
    with _served(_NOTHING, task) as port:
        limit = _warmed(port, single)
    fastest = min(many.values(), key=lambda answered: answered.seconds)
    return {
        "requests_per_s": round(gets / one.seconds),
        "p50_ms": percentile(one.taken, 50, 1e6),
        "p99_ms": percentile(one.taken, 99, 1e6),
        "batch_keys_per_s": round(_BATCH * batches / fastest.seconds),
        "batch_p99_ms": percentile(fastest.taken, 99, 1e6),
        "batch_json_keys_per_s": round(_BATCH * batches / many[_JSON].seconds),
        "limit_requests_per_s": round(gets / limit.seconds),
        "connections": _CONNECTIONS,
        "workers": _WORKERS,
    }


def _warmed(port: int, requests: Sequence[bytes]) -> Answered:
    _send(port, requests[: len(requests) // 10])
    return _send(port, requests)


def _send(port: int, requests: Sequence[bytes]) -> Answered:
    return asyncio.run(send_all(port, requests, _CONNECTIONS))


# `-m` and the arguments of a server, of which "PORT" and "FOLDER" are filled in.
_NOTHING = ("granian", "benchmarks.cache.nothing:service", *_FOR_ALL, "--interface", "asgi", "--port", "PORT")
_SERVICES: dict[str, dict[str, Any]] = {
    "lakeflow": {
        "command": ("lakeflow", "serve", *_FOR_ALL, *_SERVE, "--root", "FOLDER", "--port", "PORT"),
        "get": "/v1/caches/bench/",
        "batch": "/v1/caches/bench:batchGet",
        "forms": (_JSON, "application/vnd.apache.arrow.stream"),
    },
    "valkey": {
        "command": ("uvicorn", "benchmarks.cache.look_up_service:service", *_FOR_ALL, *_UVICORN, "--port", "PORT"),
        "get": "/rows/",
        "batch": "/rows",
        "forms": (_JSON,),
    },
}


@contextmanager
def _served(command: tuple[str, ...], task: Task) -> Iterator[int]:
    """Run a server; its port.

    Raises:
        RuntimeError: it didn't start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    filled = [{"PORT": str(port), "FOLDER": task.folder}.get(word, word) for word in command]
    environment = {"BENCH_SOCKET": task.socket}
    program = [sys.executable, "-m", *filled]
    process = subprocess.Popen(
        program, stdout=subprocess.DEVNULL, env={**os.environ, **environment}, start_new_session=True
    )
    try:
        _wait(process, port)
        yield port
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, and then whatever it has left of its workers."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"the server on port {port} didn't start: {json.dumps(process.args)}")
