"""The command line of the benchmarks: which one, how often, how large."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from benchmarks import cache
from benchmarks.cache.kills import STORES, run_kills
from benchmarks.chaos import run_chaos
from benchmarks.commit import run_commit
from benchmarks.contenders import CONTENDERS
from benchmarks.decode import run_decode
from benchmarks.faults import run_faults
from benchmarks.foreach import run_foreach
from benchmarks.foreach_engines import ENGINES
from benchmarks.memory import run_memory
from benchmarks.plan import run_plan
from benchmarks.read import run
from benchmarks.s3like import PROFILES
from benchmarks.shards import run_shards
from benchmarks.stores import LOOPBACK
from benchmarks.upsert import run_upsert
from benchmarks.workloads import SCALES, WORKLOADS
from lakeflow_io.budget import parse_bytes
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


# Which options each benchmark has.
_OPTIONS = {
    "read": {"profile", "workloads", "contenders", "runs", "warm_ups", "scale", "out"},
    "faults": {"workloads", "scans", "memory", "scale", "out"},
    "memory": {"profile", "budgets", "scale", "out"},
    "decode": {"runs", "warm_ups", "scale", "out"},
    "upsert": {"scale", "out"},
    "plan": {"files", "runs", "out"},
    "commit": {"files", "runs", "out"},
    "foreach": {"tasks", "engines", "runs", "out"},
    "cache": {"rows", "runs", "contenders", "parts", "out"},
    "cache-kills": {"kills", "seed", "store", "out"},
    "chaos": {"kills", "seed", "out"},
    "shards": {"files", "out"},
}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Reads, plans and changes tables, and runs over them: beside peers, with faults, under budgets.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("benchmark", nargs="?", default="read", choices=list(_OPTIONS), help="default: read")
    parser.add_argument("--scale", choices=list(SCALES), help="default: full, 2.4 GB in all")
    parser.add_argument("--json", dest="out", metavar="OUT", help="also write the figures to a file")
    parser.add_argument("--profile", choices=[LOOPBACK, *PROFILES], help="read, memory: the store (default: s3)")
    parser.add_argument("--workloads", type=_names(WORKLOADS), metavar="A,B", help="read: default: all; faults: one")
    parser.add_argument(
        "--contenders", type=_names((*CONTENDERS, *cache.CONTENDERS)), metavar="A,B", help="read, cache: default: all"
    )
    parser.add_argument(
        "--runs",
        type=_at_least(1),
        help="read, decode, plan, commit, foreach, cache: counted runs of each (default: 5, 3 of the last four)",
    )
    parser.add_argument("--files", type=_counts, metavar="N,M", help="plan, shards, commit: files of the tables")
    parser.add_argument("--tasks", type=_counts, metavar="N,M", help="foreach: how many (1000,20000)")
    parser.add_argument("--rows", type=_at_least(1), help="cache: how many (default: 10,000,000)")
    parser.add_argument("--parts", type=_names(cache.PARTS), metavar="A,B", help="cache: default: all")
    parser.add_argument("--engines", type=_names(ENGINES), metavar="A,B", help="foreach: default: all")
    parser.add_argument("--warm-ups", type=_at_least(0), help="read, decode: runs before them (default: 1)")
    parser.add_argument("--scans", type=_at_least(1), help="faults: scans with faults (default: 100)")
    parser.add_argument("--kills", type=_at_least(1), help="chaos, cache-kills: how many (default: 50, 200)")
    parser.add_argument("--seed", type=int, help="chaos, cache-kills: of what is drawn (default: 0)")
    parser.add_argument("--store", choices=STORES, help="cache-kills: where the cache lies (default: folder)")
    parser.add_argument("--budgets", type=_counts, metavar="N,M", help="memory: MiB (default: 64,128,512)")
    parser.add_argument("--memory", type=_size, help="faults: budget of each scan, such as 64MiB")
    options = vars(parser.parse_args())
    benchmark = options.pop("benchmark")
    for name in sorted(options.keys() - _OPTIONS[benchmark]):
        parser.error(f"{benchmark} has no --{name.replace('_', '-')}")
    known = {"read": CONTENDERS, "cache": cache.CONTENDERS}.get(benchmark, ())
    for name in sorted({*options.get("contenders", ())} - {*known}):
        parser.error(f"{benchmark} has no contender {name}; it has {', '.join(known)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what was started is stopped, too
    if benchmark == "faults":
        if "workloads" in options:
            chosen = options.pop("workloads")
            if len(chosen) != 1:
                parser.error("faults reads one workload")
            options["workload"] = chosen[0]
        result = run_faults(**options)
        sys.exit(result["exact"] < result["scans"])
    if benchmark == "chaos":
        sys.exit(not run_chaos(**options)["clean"])
    if benchmark == "cache-kills":
        sys.exit(not run_kills(**options)["clean"])
    runners = {
        "cache": cache.run_cache,
        "commit": run_commit,
        "decode": run_decode,
        "foreach": run_foreach,
        "memory": run_memory,
        "plan": run_plan,
        "read": run,
        "shards": run_shards,
        "upsert": run_upsert,
    }
    runners[benchmark](**options)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return int(text)

    return number


def _counts(text: str) -> list[int]:
    return [_at_least(1)(part) for part in text.split(",")]


def _size(text: str) -> str:
    try:
        parse_bytes(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is unknown; there are {', '.join(known)}")
        return names

    return parse


if __name__ == "__main__":
    main()
