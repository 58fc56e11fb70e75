"""From runs to figures: medians, ratios, and the table that is printed."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.limit import limit_seconds

if TYPE_CHECKING:
    from benchmarks.stores import Store

__all__ = ["machine", "print_table", "summary"]

_FIGURES = ("wall_s", "cpu_s", "base_rss_mb", "peak_rss_mb", "result_mb", "requests", "bytes")


def machine() -> dict[str, Any]:
    """What this ran on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    model = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": model[0] if model else platform.machine(),
        "memory_mb": pages // 1_000_000,
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def summary(taken: dict[str, list[dict[str, Any]]], store: Store) -> dict[str, Any]:
    """One workload's figures, from each contender's counted runs."""
    measured = taken.pop("limit", [])
    contenders = {name: _contender(runs) for name, runs in taken.items()}
    walls = {name: figures["wall_s"] for name, figures in contenders.items() if "wall_s" in figures}
    ours = contenders.get("lakeflow", {})
    peers = {name: wall for name, wall in walls.items() if name != "lakeflow"}
    result: dict[str, Any] = {
        "lakeflow_s": walls.get("lakeflow"),
        "peers": peers,
        "best_peer": min(peers, key=peers.__getitem__) if peers else None,
        "vs_best_peer": None,
        "vs_limit": None,
        **{name: ours.get(name) for name in ("peak_rss_mb", "base_rss_mb", "result_mb", "requests", "bytes")},
        "errors": {name: figures["error"] for name, figures in contenders.items() if "error" in figures},
        "limit": None,
        "contenders": contenders,
    }
    good, error = _good(measured)
    if error:
        result["errors"]["limit"] = error
    if good:
        parts = {name: median(run[name] for run in good) for name in good[0]}
        result["limit"] = limit_seconds(parts, store.profile.first_byte_ms / 1000, store.link_bytes_s)
    if "lakeflow" in walls:
        if peers:
            result["vs_best_peer"] = round(min(peers.values()) / walls["lakeflow"], 3)
        if result["limit"]:
            result["vs_limit"] = round(result["limit"]["seconds"] / walls["lakeflow"], 3)
    return result


def _good(runs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str | None]:
    """The runs before one that failed, and its error."""
    error = runs[-1].get("error") if runs else None
    return (runs[:-1] if error else runs), error


def _contender(runs: list[dict[str, Any]]) -> dict[str, Any]:
    good, error = _good(runs)
    failed = {"error": error} if error else {}
    if not good:
        return failed
    for run in good:
        run["bytes"] = run.pop("bytes_sent")
    figures = {name: good[0][name] for name in ("version", "settings")}
    for name in _FIGURES:
        values = [run[name] for run in good]
        figures[name] = None if None in values else median(values)
    return {**figures, "runs": good, **failed}


def print_table(result: dict[str, Any]) -> None:
    """Print a run's figures."""
    on = result["machine"]
    print(
        f"profile {result['profile']}, scale {result['scale']}, median of {result['runs']}; "
        f"{on['cpus']} CPUs ({on['cpu']}), {on['memory_mb'] / 1000:.0f} GB, Python {on['python']}, Linux {on['kernel']}"
    )
    for name, figures in result["workloads"].items():
        print(f"\n{name:12}{'version':>9}{'wall s':>9}{'x ours':>8}{'CPU s':>8}{'peak MB':>9}{'requests':>10}{'MB':>9}")
        for contender, row in sorted(figures["contenders"].items(), key=lambda item: item[1].get("wall_s", 1e9)):
            print(f"  {contender:10}{_cells(row, figures['lakeflow_s'])}")
        print(f"  {_verdict(figures)}")


def _cells(row: dict[str, Any], ours: float | None) -> str:
    if "wall_s" not in row:
        return f"  {row['error']}"
    ratio = f"{row['wall_s'] / ours:>8.2f}" if ours else f"{'-':>8}"
    requests = "-" if row["requests"] is None else f"{row['requests']:,.0f}"
    moved = "-" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
    return (
        f"{row['version']:>9}{row['wall_s']:>9.2f}{ratio}{row['cpu_s']:>8.2f}{row['peak_rss_mb']:>9,.0f}"
        f"{requests:>10}{moved:>9}" + (f"  of {len(row['runs'])} runs, then: {row['error']}" if "error" in row else "")
    )


def _verdict(figures: dict[str, Any]) -> str:
    parts = []
    if figures["vs_best_peer"]:
        parts.append(f"{figures['vs_best_peer']:.2f} x the best peer's speed ({figures['best_peer']})")
    if figures["limit"]:
        limit = figures["limit"]
        parts.append(
            f"limit {limit['seconds']:.2f} s (network {limit['network_s']:.2f}, processor {limit['processor_s']:.2f})"
            + (f", reached to {figures['vs_limit']:.0%}" if figures["vs_limit"] else "")
        )
    if "limit" in figures["errors"]:
        parts.append(f"limit: {figures['errors']['limit']}")
    return "; ".join(parts)
