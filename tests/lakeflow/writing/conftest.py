"""Tables of every layout that rows are changed in, and plain Python beside them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema(
    [("id", pa.int64()), ("kind", pa.string()), ("at", pa.timestamp("us")), ("x", pa.float64()), ("n", pa.int32())]
)
LAYOUTS = {
    "plain": {},
    "identity": {"partition_by": ["kind"]},
    "bucket": {"partition_by": ["bucket(3, id)"], "sort_by": ["id desc"]},
    "day": {"partition_by": ["day(at)"]},
}
MIDNIGHT = dt.datetime(2024, 2, 28)  # noqa: DTZ001  (Iceberg's timestamp has no zone)


def row(number: int, **values: Any) -> dict[str, Any]:
    """A row that its id alone tells; every seventh has no kind."""
    made = {
        "id": number,
        "kind": None if number % 7 == 6 else "abc"[number % 3],
        "at": MIDNIGHT + dt.timedelta(hours=5 * number),
        "x": float("nan") if number % 11 == 10 else number / 4,
        "n": number % 5,
    }
    return {**made, **values}


def in_order(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows that compare: NaN and null too, in any order."""
    return sorted(tuple(f"{name}={row[name]!r}" for name in sorted(row)) for row in rows)


@dataclass
class Changed:
    """A table and the rows that it ought to have."""

    table: lf.Table
    rows: list[dict[str, Any]] = field(default_factory=list)

    def append(self, *parts: list[dict[str, Any]]) -> Changed:
        """Each part is a commit of its own."""
        for part in parts:
            self.table.append(pa.Table.from_pylist(part, SCHEMA))
            self.rows += part
        return self

    def keep(self, test: Callable[[dict[str, Any]], bool], *added: dict[str, Any]) -> None:
        """What is expected of the rows."""
        self.rows = [*filter(test, self.rows), *added]

    def check(self) -> None:
        """All of them are there, once, for us and for pyiceberg's own reader, and the summary counts them."""
        found = self.table.refresh().scan().read().to_arrow()
        assert in_order(self.rows) == in_order(found.to_pylist())
        assert in_order(self.rows) == in_order(self.table.iceberg.scan().to_arrow().to_pylist())
        total = int(self.table.snapshot.summary["total-records"])
        assert total - int(self.table.snapshot.summary.get("total-position-deletes", 0)) == len(self.rows)

    @property
    def live(self) -> set[str]:
        """Data files of the current snapshot."""
        return {piece.path for piece in self.table.refresh().scan().pieces}

    @property
    def files(self) -> set[str]:
        """Files in the table's data folder, live or not."""
        transport = open_transport(store_properties(self.table.iceberg.io.properties))
        return {each.uri for each in transport.list(f"{self.table.location}/data")}

    @property
    def manifests(self) -> set[str]:
        """Manifests and manifest lists in the table's folder, live or not."""
        transport = open_transport(store_properties(self.table.iceberg.io.properties))
        return {each.uri for each in transport.list(f"{self.table.location}/metadata") if each.uri.endswith(".avro")}


def make(lake: lf.Lake, name: str, layout: str = "plain", version: int = 2, **properties: str) -> Changed:
    """An empty table."""
    asked = {"format-version": str(version), **properties}
    return Changed(lake.create_table(name, SCHEMA, properties=asked, **LAYOUTS[layout]))


# Layout, version and lake: each layout in version 2, each version, and the other lake where partitions name folders.
KINDS = [
    ("plain", 1, "embedded"),
    ("plain", 2, "embedded"),
    ("identity", 2, "rest"),
    ("bucket", 1, "embedded"),
    ("bucket", 2, "embedded"),
    ("day", 2, "embedded"),
]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]} v{kind[1]} {kind[2]}")
def kind(request: pytest.FixtureRequest) -> tuple[str, int, str]:
    """The layout, version and lake of `changed`."""
    return request.param


@pytest.fixture
def changed(request: pytest.FixtureRequest, namespace: str, kind: tuple[str, int, str]) -> Changed:
    """Thirty rows in two commits, of each kind."""
    layout, version, where = kind
    embedded = request.getfixturevalue("embedded")
    lake = embedded if where == "embedded" else lf.connect(**request.getfixturevalue("seaweed").catalog_properties)
    numbers = [row(number) for number in range(30)]
    return make(lake, f"{namespace}.t", layout, version).append(numbers[:20], numbers[20:])


@pytest.fixture
def small(embedded: lf.Lake, namespace: str) -> Changed:
    """Thirty rows in two files of a plain table."""
    numbers = [row(number) for number in range(30)]
    return make(embedded, f"{namespace}.t").append(numbers[:20], numbers[20:])


@pytest.fixture
def make_row() -> Callable[..., dict[str, Any]]:
    """The row of a number, with some values changed."""
    return row


@pytest.fixture
def make_table(embedded: lf.Lake, namespace: str) -> Callable[..., Changed]:
    """An empty table in the embedded lake: layout, version, properties."""
    return lambda *arguments, **properties: make(embedded, f"{namespace}.t", *arguments, **properties)
