"""The command line of the benchmarks: which one, how often, how large."""

from __future__ import annotations

import argparse

from benchmarks.read import run


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=run.__doc__)
    parser.add_argument("benchmark", nargs="?", default="read", choices=["read"])
    parser.add_argument("--rows", type=int, default=8_000_000, help="rows of the table (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each contender (default: %(default)s)")
    parser.add_argument("--json", metavar="OUT", help="also write the figures to a file")
    options = parser.parse_args()
    run(options.rows, options.runs, options.json)


if __name__ == "__main__":
    main()
