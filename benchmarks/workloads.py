"""What is read: data sets, and which part of them a workload wants."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["SCALES", "WARM_DATASET", "WARM_TABLE", "WORKLOADS", "Scale", "Task", "Workload"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the data sets are."""

    name: str
    lineitem_sf: float
    """TPC-H's scale factor: 6 million rows each."""
    lineitem_files: int
    small_files: int
    small_rows: int
    """Rows of a small file: 25 bytes each, encoded."""
    wide_files: int
    wide_rows: int
    """Rows of a wide file: 146 bytes each, encoded."""


SCALES = {
    "full": Scale("full", 5, 16, 2000, 4000, 200, 34_250),
    "small": Scale("small", 0.02, 4, 20, 400, 4, 1000),
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One way to read one data set."""

    name: str
    dataset: str
    checksum: str
    """An integer column whose sum tells whether the right rows were read."""
    columns: tuple[str, ...] | None = None
    """None is all."""
    selects: tuple[str, float, float] | None = None
    """A column and the range of it that is wanted, as shares of `keys` at the scale."""
    stream: bool = False
    """Batch by batch, each let go of, rather than all in memory."""

    def where(self, scale: Scale) -> tuple[str, int, int] | None:
        """The column, the first value wanted and the first no longer wanted."""
        if self.selects is None:
            return None
        column, first, last = self.selects
        # Order keys are sparse: 1.5 million orders for each scale factor have keys up to 6 million.
        keys = 6_000_000 * scale.lineitem_sf
        return column, int(keys * first), int(keys * last)

    def task(self, scale: Scale, properties: dict[str, str], table: str, control_port: int | None = None) -> Task:
        """This way to read `table`."""
        return Task(
            properties=properties,
            table=table,
            checksum=self.checksum,
            columns=list(self.columns) if self.columns else None,
            where=self.where(scale),
            stream=self.stream,
            control_port=control_port,
        )


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("full", "lineitem", "l_orderkey"),
        Workload("project", "lineitem", "l_orderkey", ("l_orderkey", "l_extendedprice", "l_shipdate")),
        Workload("small-files", "small-files", "id"),
        Workload("wide", "wide", "id", ("id", "double_5", "word_2")),
        # TPC-H makes lineitem in the order of l_orderkey: a thousandth of the keys is a thousandth of
        # the rows, in one file and one or two of its row groups.
        Workload("filter", "lineitem", "l_orderkey", selects=("l_orderkey", 0.4, 0.401)),
        Workload("stream", "lineitem", "l_orderkey", stream=True),
    )
}


WARM_DATASET = "warm"
WARM_TABLE = "bench.warm"
"""One row, for what happens at a library's first use."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a contender gets: one read."""

    properties: dict[str, str] = field(repr=False)
    """The catalog's and the store's, as pyiceberg names them."""
    table: str
    checksum: str
    columns: list[str] | None
    where: tuple[str, int, int] | None
    stream: bool
    control_port: int | None
    """Of the S3-like server, to have requests counted."""

    @property
    def condition(self) -> str | None:
        """`where` as an expression."""
        if self.where is None:
            return None
        column, first, end = self.where
        return f"{column} >= {first} and {column} < {end}"
