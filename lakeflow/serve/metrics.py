"""`/metrics`: what was counted, in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from __future__ import annotations

from http import HTTPStatus
from itertools import accumulate
from typing import TYPE_CHECKING

from lakeflow.serve.answer import Answer, RequestError
from lakeflow.serve.counters import BOUNDS_SECONDS, OTHER_CACHES
from lakeflow.serve.endpoints import age_seconds
from lakeflow_io.errors import LakeflowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lakeflow.serve.counters import Counts
    from lakeflow.serve.opened import Caches

__all__ = ["metrics"]

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics(counts: Counts, caches: Caches, required: Sequence[str]) -> Answer:
    """Return requests by route and status, their latencies, keys asked for and found, and how old versions are.

    Args:
        counts: Of all processes.
        caches: To ask for the current versions, of those that somebody asked for and those that are required.
        required: Names.
    """
    names = sorted({*counts.keys, *required} - {OTHER_CACHES})
    keys = sorted(counts.keys.items())
    lines = [
        *_family("lakeflow_http_requests_total", "counter", "Requests that were answered."),
        *(
            _line("lakeflow_http_requests_total", number, route=route.value, status=status)
            for route, statuses in counts.statuses.items()
            for status, number in statuses.items()
        ),
        *_family("lakeflow_http_request_duration_seconds", "histogram", "From a request's head to its answer."),
        *_latencies(counts),
        *_family("lakeflow_cache_keys_asked_total", "counter", "Keys that were looked up."),
        *(_line("lakeflow_cache_keys_asked_total", asked, cache=name) for name, (asked, _) in keys),
        *_family("lakeflow_cache_keys_found_total", "counter", "Keys that had a row."),
        *(_line("lakeflow_cache_keys_found_total", found, cache=name) for name, (_, found) in keys),
        *_family("lakeflow_cache_version_age_seconds", "gauge", "Since the current version was published."),
        *_ages(caches, names),
    ]
    return Answer(HTTPStatus.OK, "\n".join([*lines, ""]).encode(), {"content-type": _TEXT, "cache-control": "no-store"})


def _latencies(counts: Counts) -> Iterable[str]:
    name = "lakeflow_http_request_duration_seconds"
    for route, numbers in counts.latencies.items():
        *within, every = accumulate(numbers)
        if not every:
            continue
        for bound, number in zip(BOUNDS_SECONDS, within, strict=True):
            yield _line(f"{name}_bucket", number, route=route.value, le=bound)
        yield _line(f"{name}_bucket", every, route=route.value, le="+Inf")
        yield _line(f"{name}_sum", counts.seconds[route], route=route.value)
        yield _line(f"{name}_count", every, route=route.value)


def _ages(caches: Caches, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            _, opened = caches.open(name)
        except (LakeflowError, RequestError, OSError):
            continue  # it has no age; /readyz and the requests themselves say that it is gone
        yield _line("lakeflow_cache_version_age_seconds", age_seconds(opened.manifest.created), cache=name)


def _family(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"


def _line(name: str, value: float, **labels: object) -> str:
    """Write a sample; the labels' values are routes, numbers and caches' names, none of which needs escapes."""
    shown = ",".join(f'{label}="{each}"' for label, each in labels.items())
    return f"{name}{{{shown}}} {value}"
