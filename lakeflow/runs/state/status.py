"""`status.json`: what a run's driver says of itself, for whoever lists runs. No part of the protocol.

It is the only file of a run that is overwritten. The driver writes it when it begins, every ten
seconds, so that a driver that died is known by its silence, and when it ends. A store that
doesn't take it costs the listing its figures, and the run nothing.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, Self

from lakeflow.runs.plan import owner
from lakeflow.runs.progress.ticker import Ticker
from lakeflow_io.errors import RunInterruptedError

if TYPE_CHECKING:
    from types import TracebackType

    from lakeflow.runs.progress.tally import Tally
    from lakeflow.runs.state.journal import Journal

__all__ = ["StatusFile", "settle_status"]

_log = logging.getLogger("lakeflow.runs")

_SECONDS = 10.0
_PUBLISHED = ("committed", "partial")


class StatusFile:
    """Keeps `status.json` up to date from its enter to its exit.

    Args:
        journal: The run's folder.
        tally: Its count.
    """

    def __init__(self, journal: Journal, tally: Tally) -> None:
        self._journal = journal
        self._tally = tally
        self._started = time.time()
        self._failed = False
        self._ended: dict[str, Any] = {"state": "failed"}
        self._ticker = Ticker(_SECONDS, self._write, "lakeflow-status")

    def __enter__(self) -> Self:
        self._write()
        self._ticker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.__exit__(kind, error, trace)
        if isinstance(error, RunInterruptedError | KeyboardInterrupt):
            self._ended = {"state": "interrupted"}
        self._write(**self._ended)

    def published(self, rows: int, left_out: int) -> None:
        """The run has committed: so many rows, without so many shards. Else it has failed, however it ends."""
        self._ended = _published(self._tally.works, rows, left_out)

    def _write(self, **changes: Any) -> None:
        facts = self._facts() | changes
        if changes and "works" not in changes:
            facts["works"]["running"] = 0
        try:
            self._journal.write_status(facts)
        except Exception as error:  # noqa: BLE001  (whatever it is, the run goes on)
            if not self._failed:
                _log.warning("status.json of the run can't be written, so listings don't show how far it is: %s", error)
            self._failed = True

    def _facts(self) -> dict[str, Any]:
        tally = self._tally
        return {
            "state": "running",
            "owner": {**owner(), "pid": os.getpid()},
            "started": self._started,
            "updated": time.time(),
            "works": {
                "total": tally.works,
                "done": tally.works_done,
                "failed": tally.works_failed - tally.works_quarantined,
                "quarantined": tally.works_quarantined,
                "running": tally.running,
            },
            "rows": tally.rows,
            "bytes_done": tally.bytes_done,
            "bytes_total": tally.bytes_total,
            "retries": tally.retries,
        }


def settle_status(journal: Journal, works: int, rows: int, left_out: int) -> None:
    """Put right what the driver said last, where it died between its commit and saying so.

    Args:
        journal: The folder of a run that has committed.
        works: All of the run.
        rows: That it wrote.
        left_out: Works that its commit leaves out.
    """
    try:
        before = journal.read("status.json") or {}
        if before.get("state") not in _PUBLISHED:
            now = time.time()
            new = {"owner": {**owner(), "pid": os.getpid()}, "started": now, "updated": now}
            journal.write_status({**new, **before, **_published(works, rows, left_out)})
    except Exception as error:  # noqa: BLE001  (the run has committed, whatever its status says)
        _log.warning("status.json of run %s can't be put right: %s", journal.run_id, error)


def _published(works: int, rows: int, left_out: int) -> dict[str, Any]:
    counts = {"total": works, "done": works - left_out, "failed": 0, "quarantined": left_out, "running": 0}
    return {"state": "partial" if left_out else "committed", "works": counts, "rows": rows}
