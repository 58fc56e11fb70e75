"""`python -m benchmarks.s3like --profile s3 --port 9000 --load FOLDER`: the server, until it is stopped."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from benchmarks.s3like.profiles import PROFILES, Profile
from benchmarks.s3like.server import Server

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.s3like", description=__doc__)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="s3")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--bucket", default="bench")
    parser.add_argument("--load", type=Path, metavar="FOLDER", help="its files are the bucket's objects")
    parser.add_argument("--settings", help=argparse.SUPPRESS)  # how run_s3like starts it
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.settings:
        _as_child(json.loads(options.settings))
    server = Server(PROFILES[options.profile], port=options.port, buckets=[options.bucket])
    files = server.store.load(options.bucket, options.load) if options.load else 0
    print(f"http://127.0.0.1:{server.port}, profile {options.profile}, bucket {options.bucket} ({files} objects)")
    sys.stdout.flush()
    server.run()


def _as_child(settings: dict[str, object]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != settings["parent"]:
        sys.exit("the process that asked for this server has ended")
    server = Server(Profile(**settings["profile"]), buckets=settings["buckets"])  # type: ignore[arg-type]
    print(server.port, flush=True)
    server.run()


if __name__ == "__main__":
    main()
