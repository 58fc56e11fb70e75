"""A small run into one table or two, and what it has to leave: for tests that kill its drivers, or run two at once."""

from __future__ import annotations

import pyarrow as pa

import lakeflow as lf
from lakeflow_io.storage import open_transport


def rows(start: int) -> pa.Table:
    """Two rows of one partition, from a number."""
    return pa.table({"id": pa.array([start, start + 1], pa.int64()), "part": pa.array([start % 2] * 2, pa.int64())})


def both(start: int) -> dict[str, pa.Table]:
    """The same into two outputs."""
    return {"left": rows(start), "right": rows(start + 100)}


class Setting:
    """Fresh outputs with a row in each of three partitions, and the run that writes into them."""

    def __init__(self, lake: lf.Lake, namespace: str, number: int, mode: str, outputs: int) -> None:
        names = ["left", "right"][:outputs]
        self._tables = {
            name: lake.create_table(f"{namespace}.{name}{number}", rows(0).schema, partition_by="part")
            for name in names
        }
        for table in self._tables.values():
            table.append(pa.table({"id": [-1, -2, -3], "part": [0, 1, 2]}))
        self._lake, self._mode = lake, mode
        self.catalogs = [table.iceberg.catalog for table in self._tables.values()]

    def run(self) -> lf.Run:
        """Handles are opened anew, as by another process."""
        tables = {name: self._lake.table(table.name) for name, table in self._tables.items()}
        single = len(tables) == 1
        return lf.foreach(
            [10, 20], rows if single else both, into=tables["left"] if single else tables, mode=self._mode,
            run_id="run", engine="serial",
        )  # fmt: skip

    @property
    def marked(self) -> int:
        """Items that are done."""
        folder = f"{next(iter(self._tables.values())).location}/_lakeflow/runs/run/done"
        return len(list(open_transport({}).list(folder)))

    def check(self) -> None:
        """One snapshot of the run in each output, and just its rows."""
        before = {"append": [-3, -2, -1], "overwrite": [], "overwrite-partitions": [-3, -2]}[self._mode]
        for name, table in self._tables.items():
            made = [10, 11, 20, 21] if name == "left" else [110, 111, 120, 121]
            found = table.refresh().scan(columns=["id"]).read().to_arrow()["id"].to_pylist()
            assert sorted(found) == [*before, *made]
            runs = [each.summary.get("lakeflow.run-id") for each in table.snapshots()]
            assert runs == [None, "run"]
