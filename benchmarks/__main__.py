"""The command line of the benchmarks: which one, how often, how large."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS
from benchmarks.decode import run_decode
from benchmarks.faults import run_faults
from benchmarks.memory import run_memory
from benchmarks.read import run
from benchmarks.s3like import PROFILES
from benchmarks.stores import LOOPBACK
from benchmarks.workloads import SCALES, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Reads tables from object storage: beside peers, with faults, under budgets, or from memory.",
    )
    parser.add_argument("benchmark", nargs="?", default="read", choices=["read", "faults", "memory", "decode"])
    parser.add_argument("--profile", default="s3", choices=[LOOPBACK, *PROFILES], help="the store (default: s3)")
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS), metavar="A,B")
    parser.add_argument("--contenders", type=_names(CONTENDERS), default=list(CONTENDERS), metavar="A,B")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each contender (default: %(default)s)")
    parser.add_argument("--warm-ups", type=int, default=1, help="runs before them, not counted (default: %(default)s)")
    parser.add_argument("--scale", default="full", choices=list(SCALES), help="default: full, 2.4 GB in all")
    parser.add_argument("--json", metavar="OUT", help="also write the figures to a file")
    faults = parser.add_argument_group("faults", "of one workload, by default wide; --scale and --json as above")
    faults.add_argument("--scans", type=int, default=100, help="scans with faults (default: %(default)s)")
    faults.add_argument("--memory", help="budget of each scan, such as 64MiB")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what was started is stopped, too
    if options.benchmark == "faults":
        workload = options.workloads[0] if len(options.workloads) == 1 else "wide"
        run_faults(scans=options.scans, workload=workload, scale=options.scale, memory=options.memory, out=options.json)
        return
    if options.benchmark == "memory":
        run_memory(scale=options.scale, profile=options.profile, out=options.json)
        return
    if options.benchmark == "decode":
        run_decode(scale=options.scale, runs=options.runs, out=options.json)
        return
    run(
        profile=options.profile,
        workloads=options.workloads,
        contenders=options.contenders,
        runs=options.runs,
        warm_ups=options.warm_ups,
        scale=options.scale,
        out=options.json,
    )


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
