"""What worker processes of our own cluster do first; Dask imports it in each."""

from __future__ import annotations

import signal
from typing import Any

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the driver: a terminal sends it to all of its processes, and what runs shall end first."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
