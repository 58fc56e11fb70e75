"""From runs to figures: medians, ratios, and what is printed."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.cache.parts import PARTS

__all__ = ["print_figures", "ratios", "summary"]

# Each ratio: above 1 lakeflow is better; but `load_vs_ipc`, which is how many times as long it takes.
_LOADS = {"load_vs_lmdb": "lmdb", "load_vs_rocksdict": "rocksdict", "load_vs_redis_pipeline": "valkey"}
_MANY = {"get_many_vs_lmdb": "lmdb", "get_many_vs_valkey": "valkey"}
_COLD = {"cold_rows_p50_us": "p50_us", "cold_rows_p99_us": "p99_us", "cold_rows_many_ms": "many_ms"}
_OURS = {
    "load_rows_per_s": ("load", "rows_per_s"),
    "precompute_rows_per_s": ("precompute", "rows_per_s"),
    "get_p50_us": ("get", "p50_us"),
    "get_p99_us": ("get", "p99_us"),
    "get_many_p99_ms": ("get_many", "p99_ms"),
    "http_batch_keys_per_s": ("http", "batch_keys_per_s"),
    "open_ms": ("open", "open_ms"),
    "rollback_ms": ("rollback", "rollback_ms"),
    "torn_reads": ("torn", "torn_reads"),
}


def summary(taken: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """One contender's figures by part: medians or sums, and every run."""
    return {part: _medians(part, runs) for part, runs in taken.items()}


def _medians(part: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    good = [run for run in runs if "error" not in run]
    failed = {"error": runs[-1]["error"]} if len(good) < len(runs) else {}
    if not good:
        return failed
    told = {name: good[0][name] for name in ("versions", "settings")}
    bare = [{name: value for name, value in run.items() if name not in told} for run in good]
    middle = {name: median(run[name] for run in good) for name in PARTS[part].figures}
    middle |= {name: sum(run[name] for run in good) for name in PARTS[part].summed}
    return {**told, **middle, "runs": bare, **failed}


def ratios(contenders: dict[str, Any]) -> dict[str, Any]:
    """Lakeflow's own figures, and how they compare; None where one of both wasn't measured."""

    def figure(contender: str, part: str, name: str) -> float | None:
        value: float | None = contenders.get(contender, {}).get(part, {}).get(name)
        return value

    def ratio(above: float | None, below: float | None) -> float | None:
        return None if above is None or not below else round(above / below, 2)

    found: dict[str, Any] = {name: figure("lakeflow", *where) for name, where in _OURS.items()}
    loaded, many = figure("lakeflow", "load", "rows_per_s"), figure("lakeflow", "get_many", "p50_ms")
    for name, peer in _LOADS.items():
        found[name] = ratio(loaded, figure(peer, "load", "rows_per_s"))
    found["load_vs_ipc"] = ratio(figure("lakeflow", "load", "wall_s"), figure("ipc", "load", "wall_s"))
    for name, peer in _MANY.items():
        found[name] = ratio(figure(peer, "get_many", "p50_ms"), many)
    for name, figure_name in _COLD.items():
        found[name] = figure("lakeflow_rows", "cold", figure_name)
    pushed = figure("lakeflow", "push", "rows_per_s")
    found["push_vs_redis_pipeline"] = ratio(pushed, figure("valkey", "load", "rows_per_s"))
    served = figure("lakeflow", "http", "requests_per_s")
    found["http_vs_fastapi_redis"] = ratio(served, figure("valkey", "http", "requests_per_s"))
    return found


def print_figures(result: dict[str, Any]) -> None:
    """Print what each contender reached in each part, and the ratios."""
    on = result["machine"]
    print(
        f"{result['rows']:,} rows, median of {result['runs']}; {on['cpus']} CPUs ({on['cpu']}), "
        f"{on['memory_mb'] / 1000:.0f} GB, load average {max(result['load_average']):.1f} at the highest"
    )
    for part, kind in PARTS.items():
        rows = {name: found[part] for name, found in result["contenders"].items() if part in found}
        if not rows:
            continue
        print(f"\n{part:16}" + "".join(f"{name:>22}" for name in kind.figures))
        for name, figures in rows.items():
            cells = [f"{figures[each]:>22,}" if each in figures else f"{'-':>22}" for each in kind.figures]
            print(f"  {name:14}" + "".join(cells) + (f"  {figures['error']}" if "error" in figures else ""))
    told = (f"{name} {result[name]:,}" for name in ratios({}) if result[name] is not None)
    print("\n" + "; ".join(told))
