"""What manifests tell of a file under a filter, held against its rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from filters import combined
from hypothesis import given
from hypothesis import strategies as st

import lakeflow as lf
from lakeflow_io.iceberg.file_match import FileJudge
from lakeflow_io.iceberg.plan import live_files
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.iceberg.rewrite import full_spec, passing_rows
from lakeflow_io.iceberg.verdict import Match
from lakeflow_io.reader import read_batches

SCHEMA = pa.schema([("i", pa.int32()), ("t", pa.string()), ("x", pa.float64())])
TEXTS = ["", "a", "a text that is longer than the bounds", "a text that is longer than the boundary", "b", None]
FILES = [
    pa.table({"i": [1, 2, 3], "t": ["a", "a", "b"], "x": [1.0, 2.0, float("nan")]}, schema=SCHEMA),
    pa.table({"i": [5, None, 5], "t": TEXTS[2:5], "x": [0.0, -0.0, 0.0]}, schema=SCHEMA),
    pa.table({"i": [7, 7], "t": [None, None], "x": [None, None]}, schema=SCHEMA),
    pa.table({"i": [None], "t": [""], "x": [float("nan")]}, schema=SCHEMA),
]
ATOMS = st.one_of(
    st.builds("i {} {}".format, st.sampled_from(["<", "<=", "=", "!=", ">", ">="]), st.integers(0, 8)),
    st.builds("x {} {}".format, st.sampled_from(["<", "<=", "=", "!=", ">", ">="]), st.sampled_from(["0.0", "1.5"])),
    st.builds("t {} '{}'".format, st.sampled_from(["<", "=", "!=", ">="]), st.sampled_from(TEXTS[:5])),
    st.sampled_from(
        ["t like 'a%'", "t not like 'a text%'", "i in (1, 2, 3)", "i not in (5, 7)", "t not in ('a', 'b')"]
    ),
    st.builds("{} is {}".format, st.sampled_from(["i", "t", "x"]), st.sampled_from(["null", "not null"])),
    st.builds("x is {}".format, st.sampled_from(["nan", "not nan"])),
)
FILTERS = combined(ATOMS, 4)
_tables: dict[str, Any] = {}


@pytest.mark.parametrize("partition_by", [[], ["i"], ["t"], ["truncate(3, t)"]])
@pytest.mark.parametrize("metrics", ["truncate(16)", "full", "none"])
@given(where=FILTERS)
def test_what_is_certain_is_true(
    tmp_path_factory: pytest.TempPathFactory, partition_by: list[str], metrics: str, where: str
) -> None:
    """NONE: no row of the file passes; ALL: every row does. That is all that files are dropped by."""
    table, held = _table(tmp_path_factory, partition_by, metrics)
    predicate = parse_filter(where, table.iceberg.schema(), "t")
    judge = FileJudge.of(predicate, table.iceberg.schema(), table.iceberg.specs())
    spec = full_spec(table.iceberg, "t", table.snapshot.id)
    passes = passing_rows(spec, predicate)
    passing = {path: int(passes(rows).sum()) for path, rows in held.items()}
    for path, live in live_files(table.iceberg, spec, judge.columns).items():
        match = judge.match(live)
        assert match is not Match.NONE or passing[path] == 0
        assert match is not Match.ALL or passing[path] == live.rows


def test_bounds_prove_what_they_can(tmp_path_factory: pytest.TempPathFactory) -> None:
    """It isn't all SOME: whole files are told from their bounds, and from their partition where there are none."""
    for partition_by, metrics in (([], "truncate(16)"), (["i"], "none")):
        table, _ = _table(tmp_path_factory, partition_by, metrics)
        schema = table.iceberg.schema()
        judge = FileJudge.of(parse_filter("i >= 5", schema, "t"), schema, table.iceberg.specs())

        spec = full_spec(table.iceberg, "t", table.snapshot.id)
        found = {judge.match(live) for live in live_files(table.iceberg, spec, judge.columns).values()}

        assert {Match.NONE, Match.ALL} <= found


def _table(
    factory: pytest.TempPathFactory, partition_by: list[str], metrics: str
) -> tuple[lf.Table, dict[str, pa.Table]]:
    """Made once for each layout, with the rows of each file."""
    name = f"{partition_by}{metrics}"
    if name not in _tables:
        folder = factory.mktemp("match")
        lake = lf.connect(type="sql", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
        properties = {"write.metadata.metrics.default": metrics}
        made = lake.create_table("n.t", SCHEMA, partition_by=partition_by, properties=properties)
        for rows in FILES:
            made.append(rows)
        scan = made.scan()
        held = {each.path: pa.Table.from_batches(read_batches(scan._spec, [each]), scan.schema) for each in scan.pieces}
        _tables[name] = made, held
    return _tables[name]


@pytest.mark.parametrize(("before", "after"), [("int", "long"), ("float", "double")])
def test_bounds_from_before_a_promotion_are_read(embedded: lf.Lake, namespace: str, before: str, after: str) -> None:
    """They have four bytes, values of the column now have eight."""
    from pyiceberg.types import DoubleType, LongType

    kinds = {"int": pa.int32(), "float": pa.float32(), "long": LongType(), "double": DoubleType()}
    table = embedded.create_table(f"{namespace}.t", pa.schema([("v", kinds[before])]))
    table.append({"v": pa.array([1, 2, 3], kinds[before])})
    with table.iceberg.update_schema() as update:
        update.update_column("v", kinds[after])
    table.refresh()
    judge = FileJudge.of(
        parse_filter("v > 3", table.iceberg.schema(), "t"), table.iceberg.schema(), table.iceberg.specs()
    )

    spec = full_spec(table.iceberg, "t", table.snapshot.id)
    [live] = live_files(table.iceberg, spec, judge.columns).values()

    assert judge.match(live) is Match.NONE
