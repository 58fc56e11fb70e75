"""Sequences of changes against a list of dicts: every snapshot on the way reads right."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import lakeflow as lf

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("kind", pa.string()), ("x", pa.float64())])
LAYOUTS = [
    {},
    {"partition_by": ["kind"]},
    {"partition_by": ["bucket(2, id)"], "sort_by": ["x desc"]},
    {"partition_by": ["truncate(4, id)", "kind"]},
]
IDS = st.integers(0, 12)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | IDS,
            "kind": st.sampled_from([None, "", "a", "b/c"]),
            "x": st.sampled_from([None, -0.0, 0.0, 1.5, float("nan")]),
        }
    ),
    max_size=8,
)
# A filter, and what it says of a row; null is not true.
FILTERS: st.SearchStrategy[tuple[str, Callable[[dict[str, Any]], bool]]] = st.one_of(
    IDS.map(lambda n: (f"id < {n}", lambda row: row["id"] is not None and row["id"] < n)),
    IDS.map(lambda n: (f"id != {n} and kind = 'a'", lambda row: row["id"] not in (None, n) and row["kind"] == "a")),
    st.just(("kind is null", lambda row: row["kind"] is None)),
    st.just(("x >= 0.0", lambda row: row["x"] is not None and row["x"] >= 0)),
    IDS.map(lambda n: (f"id in ({n}, 3) or x = 1.5", lambda row: row["id"] in (n, 3) or row["x"] == 1.5)),
    st.just(("kind not in ('a', '')", lambda row: row["kind"] == "b/c")),
)


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows that compare, whatever is in them."""
    return sorted(repr(sorted(row.items())) for row in rows)


def by_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without those that repeat a key."""
    kept: dict[Any, dict[str, Any]] = {}
    return [row for row in rows if row["id"] is None or kept.setdefault(row["id"], row) is row]


class Sequences(RuleBasedStateMachine):
    """One table, and what each of its snapshots ought to hold."""

    version = "2"

    @initialize(layout=st.sampled_from(LAYOUTS))
    def create(self, layout: dict[str, Any]) -> None:
        """A lake of its own."""
        self.folder = tempfile.TemporaryDirectory()
        uri, warehouse = f"sqlite:///{self.folder.name}/c.db", f"file://{self.folder.name}"
        lake = lf.connect(type="sql", uri=uri, warehouse=warehouse)
        properties = {"format-version": self.version, "write.parquet.row-group-limit": "3"}
        self.table = lake.create_table("n.t", SCHEMA, properties=properties, **layout)
        self.rows: list[dict[str, Any]] = []
        self.right: dict[int, list[str]] = {}

    def teardown(self) -> None:
        """Every snapshot still reads as it was."""
        if hasattr(self, "folder"):
            for snapshot, right in self.right.items():
                assert right == in_order(self.table.scan(snapshot=snapshot).read().to_pylist())
            self.table.iceberg.catalog.close()
            self.folder.cleanup()

    def ended(self, rows: list[dict[str, Any]]) -> None:
        """Remember what the table, and its snapshot, ought to hold."""
        self.rows = rows
        if self.table.snapshot is not None:
            self.right[self.table.snapshot.id] = in_order(rows)

    @rule(rows=ROWS)
    def append(self, rows: list[dict[str, Any]]) -> None:
        """Rows come."""
        self.table.append(pa.Table.from_pylist(rows, SCHEMA))
        self.ended([*self.rows, *rows])

    @rule(rows=ROWS, where=st.none() | FILTERS)
    def overwrite(self, rows: list[dict[str, Any]], where: Any) -> None:
        """Rows come, others go."""
        self.table.overwrite(pa.Table.from_pylist(rows, SCHEMA), where=where and where[0])
        self.ended([*(row for row in self.rows if where and not where[1](row)), *rows])

    @rule(where=FILTERS, beside=st.booleans())
    def delete(self, where: Any, *, beside: bool) -> None:
        """Rows go: out of files that are written anew, or by their positions."""
        self.table.delete(where[0], mode="merge-on-read" if beside and self.version == "2" else "copy-on-write")
        self.ended([row for row in self.rows if not where[1](row)])

    @rule(rows=ROWS)
    def upsert(self, rows: list[dict[str, Any]]) -> None:
        """Rows take the place of those with their key."""
        rows = by_key(rows)
        self.table.upsert(pa.Table.from_pylist(rows, SCHEMA), key="id")
        keys = {row["id"] for row in rows} - {None}
        self.ended([*(row for row in self.rows if row["id"] not in keys), *rows])

    @rule(rows=ROWS, delete=st.booleans(), insert=st.booleans())
    def merge(self, rows: list[dict[str, Any]], *, delete: bool, insert: bool) -> None:
        """Some columns are updated, rows come, rows go."""
        rows = [{"id": row["id"], "x": row["x"]} for row in by_key(rows)]
        new = {row["id"]: row for row in rows if row["id"] is not None}
        there = {row["id"] for row in self.rows}
        self.table.merge(
            pa.Table.from_pylist(rows, pa.schema([SCHEMA.field("id"), SCHEMA.field("x")])),
            key="id",
            not_matched="insert" if insert else "ignore",
            not_matched_by_source="delete" if delete else "keep",
        )
        kept = [{**row, **new.get(row["id"], {})} for row in self.rows if not delete or row["id"] in new]
        added = [{**row, "kind": None} for row in rows if row["id"] is None or row["id"] not in there]
        self.ended([*kept, *(added if insert else [])])

    @invariant()
    def reads_right(self) -> None:
        """Opened anew, too, which is what other readers do."""
        if hasattr(self, "table"):
            assert in_order(self.rows) == in_order(self.table.refresh().scan().read().to_pylist())


@pytest.mark.parametrize("version", ["1", "2"])
def test_sequences_of_changes_read_right(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append, overwrite, delete, upsert and merge, ten in a row, on any layout."""
    monkeypatch.setattr(Sequences, "version", version)

    run_state_machine_as_test(Sequences, settings=settings(max_examples=14, stateful_step_count=10))
