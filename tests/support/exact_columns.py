"""A column of every type that a pushed row holds exactly, with its nulls and its edges; of three rows at most."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from uuid import UUID

import pyarrow as pa

_NESTED = {"a": pa.list_(pa.binary()), "b": pa.decimal128(5, 1)}
EXACT_COLUMNS: list[pa.Array] = [
    pa.array([True, None, False]),
    pa.array([2**64 - 1, None, 0], pa.uint64()),
    pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
    pa.array([0.1, None, math.inf]),
    pa.array([0.1, None, 3e38], pa.float32()),
    pa.array([0.5, None, -2.0], pa.float16()),
    pa.array(['aé\n"\0', None, ""]),
    pa.array(["x", None, "\U0001f600"], pa.large_string()),
    pa.array([b"\xff\0", None, b""]),
    pa.array([b"ab", None, b"\0\0"], pa.binary(2)),
    pa.array([b"", None, b""], pa.binary(0)),
    pa.array([Decimal("1.20"), None, Decimal("-0.01")], pa.decimal128(9, 2)),
    pa.array([Decimal("1.20"), None, Decimal("-0.01")], pa.decimal256(50, 2)),
    pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
    pa.array([datetime(2024, 2, 29, 1, 2, 3, 4), None, datetime(1900, 1, 1)]),  # noqa: DTZ001
    pa.array([datetime(2024, 2, 29, tzinfo=UTC), None], pa.timestamp("ms", "Asia/Tokyo")),
    pa.array([clock(1, 2, 3), None, clock(0)], pa.time32("s")),
    pa.array([timedelta(days=-1), None, timedelta(microseconds=1)]),
    pa.array([pa.MonthDayNano([1, -2, 3]), None], pa.month_day_nano_interval()),
    pa.array([[0.5, None], None, []], pa.list_(pa.float32())),
    pa.array([[0.5, 0.25], None, [1.0, None]], pa.list_(pa.float32(), 2)),
    pa.array([[date(2024, 2, 29), None], None, []], pa.list_(pa.date32())),
    pa.array([[date(2024, 2, 29), None], None, [None, date(1, 1, 1)]], pa.list_(pa.date32(), 2)),
    pa.array([[b"\xff", None], None, []], pa.large_list(pa.large_binary())),
    pa.array([{"a": ["x", None], "b": 1}, None, {"a": None, "b": None}]),
    pa.array([{"a": [b"x", None], "b": Decimal("1.5")}, None, {"a": None, "b": None}], pa.struct(_NESTED)),
    pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int64())),
    pa.array([[(b"k", [clock(1)]), (b"", None)], None, []], pa.map_(pa.binary(), pa.list_(pa.time64("us")))),
    pa.array([UUID(int=7), None, UUID(int=2**128 - 1)], pa.uuid()),
    pa.array(['{"a": "é"}', None, "[]"], pa.json_()),
    pa.array([1, None, 0], pa.int8()).cast(pa.bool8()),
    pa.nulls(3),
]  # fmt: skip
