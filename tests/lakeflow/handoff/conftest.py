"""A table whose files differ in every column, and a scan that writes down what engines ask of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import lakeflow as lf

NAN = float("nan")
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("i", pa.int64()),
        ("n", pa.int32()),
        ("f", pa.float64()),
        ("g", pa.float32()),
        ("s", pa.string()),
        ("d", pa.date32()),
        ("t", pa.timestamp("us", tz="UTC")),
        ("u", pa.timestamp("us")),
        ("c", pa.decimal128(9, 2)),
        ("b", pa.bool_()),
        ("l", pa.list_(pa.int64())),
    ]
)


def _file(number: int) -> pa.Table:
    """Eight rows from ten times `number` on; every column has a null, and floats a NaN and both zeros."""
    base = 10 * number
    numbers = [base, base + 1, None, base + 3, base + 4, base + 5, base, base + 7]
    floats = [None if x is None else x / 4 for x in numbers]
    floats[5], floats[6], floats[7] = NAN, 0.0, -0.0
    days = [None if x is None else timedelta(days=x) for x in numbers]
    columns = {
        "row": list(range(8 * number, 8 * number + 8)),
        "i": numbers,
        "n": numbers,
        "f": floats,
        "g": floats,
        "s": [None if x is None else "abcdefgh"[number] * 2 + str(x) for x in numbers],
        "d": [None if x is None else date(2020, 1, 1) + x for x in days],
        "t": [None if x is None else datetime(2020, 1, 1, tzinfo=UTC) + x for x in days],
        "u": [None if x is None else datetime(2020, 1, 1) + x for x in days],  # noqa: DTZ001  (a naive column)
        "c": [None if x is None else Decimal(x) / 4 for x in numbers],
        "b": [None if x is None else number % 2 == 0 for x in numbers],
        "l": [None if x is None else [x] for x in numbers],
    }
    return pa.table(columns, schema=SCHEMA)


def _extremes() -> list[pa.Table]:
    """A file of nulls alone, and one of NaNs alone."""
    rows = pa.array([32, 33], pa.int64())
    nulls = {name: pa.nulls(2, SCHEMA.field(name).type) for name in SCHEMA.names}
    nans = {"f": pa.array([NAN, NAN]), "g": pa.array([NAN, NAN], pa.float32())}
    return [
        pa.table({**nulls, "row": rows}, schema=SCHEMA),
        pa.table({**nulls, **nans, "row": pa.array([34, 35], pa.int64())}, schema=SCHEMA),
    ]


@pytest.fixture
def mixed(embedded: lf.Lake, namespace: str) -> lf.Table:
    """Six files: four of different ranges, one of nulls, one of NaNs."""
    table = embedded.create_table(f"{namespace}.mixed", SCHEMA)
    for part in [*map(_file, range(4)), *_extremes()]:
        table.append(part)
    return table


@dataclass
class Recorder:
    """A source over a scan: what was read is in `reads`, and whether its iterator was let go in `closed`."""

    scan: lf.Scan
    asked: int | None = None
    reads: list[dict[str, Any]] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    exhausted: threading.Event = field(default_factory=threading.Event)
    """Set where whoever read went to the very end."""

    @property
    def schema(self) -> pa.Schema:
        """The scan's."""
        return self.scan.schema

    def select(self, columns: Sequence[str]) -> Recorder:
        """Narrowed, written down alike."""
        return replace(self, scan=self.scan.select(columns))

    def where(self, predicate: Any) -> Recorder:
        """Narrowed, written down alike."""
        return replace(self, scan=self.scan.where(predicate))

    def limit(self, n: int) -> Recorder:
        """Narrowed, written down alike."""
        return replace(self, scan=self.scan.limit(n), asked=n)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The scan's own."""
        files = len({piece.path for piece in self.scan.pieces})
        self.reads.append({"columns": self.scan.schema.names, "files": files, "limit": self.asked})
        try:
            yield from self.scan.batches(memory=1)
            self.exhausted.set()
        finally:
            self.closed.set()


@pytest.fixture
def recorder() -> Callable[[lf.Scan], Recorder]:
    """A maker of recorders."""
    return Recorder
