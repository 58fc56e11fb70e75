"""How far a run is: one count of what the scheduler reports, for whoever shows it or writes it down."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lakeflow.runs.work import whole_id

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from lakeflow.runs.attempts.attempt import Attempt
    from lakeflow.runs.failures import Failure
    from lakeflow.runs.work import Work

__all__ = ["Tally"]

_PART = re.compile(r"(.+)\.\d+of(\d+)")


class Tally:
    """An Observer that counts. Any thread may read it at any time; only the scheduler's writes.

    Args:
        works: All of the run.
        done: Ids of those that were done when this driver began.
        parts: Ids of the parts of others that were.
        rows: That these had written.
    """

    def __init__(
        self, works: Iterable[Work], done: Container[str] = (), parts: Iterable[str] = (), rows: int = 0
    ) -> None:
        self.works = 0
        """Shards of the whole run."""
        self.bytes_total = 0
        """What they read from the store; 0 where they read nothing."""
        self.works_done = 0
        """Shards that ended well; one that was split counts once, with its last part."""
        self.rows = rows
        """Rows written."""
        self.rows_in = 0
        """Rows read, by this driver."""
        self.bytes_done = 0
        """Bytes in the store of what was read, by any driver."""
        self.retries = 0
        """Tries that failed and were followed by another."""
        self._running: dict[str, set[int]] = {}
        self._parts: dict[str, int] = {}
        self._given_up: dict[str, str] = {}
        for work in works:
            self.works += 1
            self.bytes_total += work.bytes
            if work.id in done:
                self.works_done += 1
                self.bytes_done += work.bytes
        for part in parts:
            if whole_id(part) not in done:  # else a twin has done the whole
                self._finish(part)
        self.bytes_before = self.bytes_done
        """Of the bytes that are done, those of earlier drivers."""

    @property
    def running(self) -> int:
        """Shards, or parts of some, that were started and haven't ended."""
        return len(self._running)

    @property
    def works_failed(self) -> int:
        """Shards that were given up, wholly or in part."""
        return len(self._given_up)

    @property
    def works_quarantined(self) -> int:
        """Of these, shards that the run goes on without."""
        return sum(then == "quarantined" for then in self._given_up.values())

    @property
    def share(self) -> float:
        """How much is done, 0..1: by bytes where shards have any."""
        if self.bytes_total:
            return min(1.0, self.bytes_done / self.bytes_total)
        return self.works_done / self.works if self.works else 1.0

    def seconds_left(self, elapsed: float) -> float | None:
        """What the rest takes at the speed so far; None before there is one.

        Args:
            elapsed: Seconds that this driver has run.
        """
        here = self.bytes_done - self.bytes_before
        if here <= 0 or elapsed <= 0 or not self.bytes_total:
            return None
        return max(0, self.bytes_total - self.bytes_done) * elapsed / here

    def started(self, attempt: Attempt) -> None:
        """An attempt began; a work may have two at a time, of which the first to end counts."""
        self._running.setdefault(attempt.work.id, set()).add(attempt.number)

    def done(self, attempt: Attempt, value: Any) -> None:
        """An attempt ended well: with a marker, or with the function's value where nothing is written."""
        work = attempt.work
        if self._running.pop(work.id, None) is None:
            return  # its twin was faster
        if attempt.job.writers:
            self._count(work.id, value["rows_in"], value["rows"], value["bytes_in"])
        else:
            self._count(work.id, work.rows, 0, work.bytes)

    def failed(self, attempt: Attempt, failure: Failure, then: str) -> None:
        """An attempt failed, and this was done about it."""
        del failure
        work_id = attempt.work.id
        numbers = self._running.get(work_id, set())
        numbers.discard(attempt.number)
        if not numbers:
            self._running.pop(work_id, None)
        if then in ("quarantined", "raised"):
            self._given_up[whole_id(work_id)] = then
        else:
            self.retries += 1

    def _count(self, work_id: str, rows_in: int, rows: int, size: int) -> None:
        self.rows_in += rows_in
        self.rows += rows
        self.bytes_done += size
        self._finish(work_id)

    def _finish(self, work_id: str) -> None:
        part = _PART.fullmatch(work_id)
        if part is None:
            self.works_done += 1
            return
        whole, parts = part[1], int(part[2])
        self._parts[whole] = self._parts.get(whole, 0) + 1
        self.works_done += self._parts[whole] == parts
