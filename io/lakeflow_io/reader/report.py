"""What a scan did, counted while it ran: is it the store, or is it you?"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from lakeflow_io.parquet.native.binding import library

__all__ = ["Counters", "ScanReport"]

# First-byte times kept for the percentiles: the newest ones of a long scan.
_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What one pass over a scan did. Seconds are wall-clock unless they say CPU."""

    files: int
    """Data files that were opened."""
    footers_known: int
    """Of these, files whose footers were remembered from earlier scans."""
    row_groups: int
    """Row groups of those files, within the scan's pieces: stripes of ORC, and some blocks each of Avro."""
    row_groups_pruned: int
    """Of these, left out before anything of them was fetched: by their statistics, or as wholly deleted."""
    row_groups_skipped: int
    """Of these, left out once the filter's columns had been read: no row passed."""
    rows: int
    """That left the reader."""
    deletes_applied: int
    """Rows that row-level deletes left out, and that neither statistics nor the filter had left out before."""
    delete_files: int
    """Delete files that were read; each deletion vector is one."""
    dangling_deletes: int
    """Position deletes that were read and name no data file of the table. A scan with a filter, or a shard,
    can't tell them from those of files that it doesn't read, and doesn't count them."""
    requests: int
    """Ranged reads sent to the store, retries and hedges included."""
    bytes_wanted: int
    """Footers and column chunks that the scan needed, from the store."""
    bytes_fetched: int
    """What was asked of the store for them: gaps that were bridged, retries and hedges included."""
    retries: int
    """Requests sent again after a failure or a stall."""
    throttled: int
    """Answers that asked to slow down (503, 429)."""
    hedges: int
    """Second requests sent beside a slow first one."""
    concurrency: int
    """Requests in flight at most."""
    first_byte_p50: float
    """Seconds from a request to its first byte, median."""
    first_byte_p99: float
    """The same, 99th percentile."""
    network_wait: float
    """Seconds in which the consumer waited for bytes."""
    cpu_wait: float
    """Seconds in which the consumer waited for decoding."""
    decode_cpu: float
    """CPU seconds of decoding and filtering, over all threads."""
    compiled: bool
    """Whether the compiled decoder is there; without it pyarrow decodes all."""
    consumer: float
    """Seconds that the consumer kept the reader waiting."""
    peak_bytes: int
    """Fetched, undecoded and unconsumed bytes at most, as the budget counts them."""
    budget_bytes: int
    """The budget."""
    seconds: float
    """From the first batch that was asked for to the last."""

    @property
    def verdict(self) -> str:
        """What bounds this scan: `network`, `decoding` or `consumer`."""
        waits = {"network": self.network_wait, "decoding": self.cpu_wait, "consumer": self.consumer}
        return max(waits, key=lambda name: waits[name])


@dataclass(slots=True)
class Counters:
    """The same while it is being counted. Each field is written by one thread."""

    files: int = 0
    footers_known: int = 0
    row_groups: int = 0
    row_groups_pruned: int = 0
    row_groups_skipped: int = 0
    rows: int = 0
    deletes_applied: int = 0
    deletes_unread: int = 0
    """Of row groups that were not read for it."""
    delete_files: int = 0
    dangling_deletes: int = 0
    requests: int = 0
    bytes_wanted: int = 0
    bytes_fetched: int = 0
    retries: int = 0
    throttled: int = 0
    hedges: int = 0
    concurrency: int = 0
    network_wait: float = 0.0
    cpu_wait: float = 0.0
    decode_cpu: float = 0.0
    consumer: float = 0.0
    peak_bytes: int = 0
    budget_bytes: int = 0
    first_bytes: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    started: float = field(default_factory=time.perf_counter)
    ended: float | None = None

    def report(self) -> ScanReport:
        """The figures so far."""
        times = sorted(self.first_bytes)
        named = {name: getattr(self, name) for name in ScanReport.__dataclass_fields__ if hasattr(self, name)}
        named["deletes_applied"] += self.deletes_unread
        return ScanReport(
            **named,
            compiled=library() is not None,
            first_byte_p50=_percentile(times, 0.5),
            first_byte_p99=_percentile(times, 0.99),
            seconds=(self.ended or time.perf_counter()) - self.started,
        )


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
