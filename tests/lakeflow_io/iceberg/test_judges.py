"""Three who judge files by what manifests and footers tell, held against the rows and against each other.

`possible` plans scans, all files at once; `FileJudge` decides what a change drops unread; row groups are judged by
footers. A file of which a row passes is let through by each of them, whatever the others say of it.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from filters import combined
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow as lf
from lakeflow_io.iceberg.file_match import FileJudge
from lakeflow_io.iceberg.plan import live_files, plan_pieces
from lakeflow_io.iceberg.predicate import parse_filter
from lakeflow_io.iceberg.rewrite import full_spec, passing_rows
from lakeflow_io.iceberg.verdict import Match
from lakeflow_io.reader import read_batches

SCHEMA = pa.schema(
    [
        ("i", pa.int32()), ("x", pa.float64()), ("y", pa.float32()), ("t", pa.string()), ("b", pa.binary()),
        ("m", pa.decimal128(9, 2)), ("d", pa.date32()), ("o", pa.bool_()),
    ]
)  # fmt: skip
NAN = float("nan")
TEXTS = ["", "a", "ab", "a text that is longer than a bound", "a text that is longer than another", "ü\U0010ffff"]
VALUES: dict[str, list[Any]] = {
    "i": [-5, 0, 3, 4, 2**31 - 1],
    "x": [-0.0, 0.0, 1.5, 2.0, NAN, float("inf")],
    "y": [-0.0, 0.0, 1.5, 2.0, NAN, float("-inf")],
    "t": TEXTS,
    "b": [each.encode() for each in TEXTS] + [b"\xff\xff"],
    "m": [Decimal("-1.50"), Decimal("0.00"), Decimal("1.00"), Decimal("1.01"), Decimal("9999999.99")],
    "d": [dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29)],
    "o": [True, False],
}
LITERALS: dict[str, list[str]] = {
    "i": ["-6", "0", "3", "4", "2147483648"],
    "x": ["-0.5", "0.0", "1.5", "1.75"],
    "y": ["-0.5", "0.0", "1.5", "4" + "0" * 38 + ".0"],
    "t": [f"'{each}'" for each in [*TEXTS, "a text that is longer than", "zz"]],
    "m": ["0.0", "1.0", "1.005", "1.01", "-1.5", "1000000000.5"],
    "d": ["'1970-01-01'", "'2000-01-01'"],
    "o": ["true", "false"],
}
ATOMS = st.one_of(
    *(
        st.builds(f"{name} {{}} {{}}".format, st.sampled_from(["<", "<=", "=", "!=", ">", ">="]), st.sampled_from(some))
        for name, some in LITERALS.items()
        if name != "o"
    ),
    *(
        st.builds(
            f"{name} {{}} ({{}})".format,
            st.sampled_from(["in", "not in"]),
            st.lists(st.sampled_from(some), min_size=1, max_size=3).map(", ".join),
        )
        for name, some in LITERALS.items()
        if name not in ("o", "d")
    ),
    st.sampled_from(
        ["o = true", "o != true", "t like 'a%'", "t not like 'a text that is%'", "x is nan", "y is not nan"]
    ),
    st.builds("{} is {}".format, st.sampled_from(list(VALUES)), st.sampled_from(["null", "not null"])),
)
FILTERS = combined(ATOMS, 3)
_tables: dict[str, Any] = {}


@pytest.mark.parametrize("layout", ["plain", "identity", "transforms", "no metrics"])
@settings(max_examples=25)
@given(where=FILTERS)
def test_none_says_no_of_a_file_with_a_row(tmp_path_factory: pytest.TempPathFactory, layout: str, where: str) -> None:
    """The exact filter over each file's rows is the truth; ALL is said of no file with a row that doesn't pass."""
    table, held = _table(tmp_path_factory, layout)
    iceberg = table.iceberg
    spec = full_spec(iceberg, "t", table.snapshot.id)
    predicate = parse_filter(where, iceberg.schema(), "t")
    passes = passing_rows(spec, predicate)
    passing = {path: int(passes(rows).sum()) for path, rows in held.items()}
    judge = FileJudge.of(predicate, iceberg.schema(), iceberg.specs())

    planned = {piece.path for piece in plan_pieces(iceberg, table.scan(where=where)._spec)}
    verdicts = {path: judge.match(file) for path, file in live_files(iceberg, spec, judge.columns).items()}

    assert verdicts.keys() == held.keys()
    for path, rows in held.items():
        assert not passing[path] or (path in planned and verdicts[path] is not Match.NONE)
        assert verdicts[path] is not Match.ALL or (passing[path] == rows.num_rows and path in planned)
    assert len(table.scan(where=where).read()) == sum(passing.values())  # row groups, by their footers


def _table(factory: pytest.TempPathFactory, layout: str) -> tuple[lf.Table, dict[str, pa.Table]]:
    """Made once for each layout: a file for every pair of neighbours of each column's values, with nulls between."""
    if layout not in _tables:
        folder = factory.mktemp("judges")
        lake = lf.connect(type="sql", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
        terms = {"identity": ["i", "o"], "transforms": ["truncate(2, t)", "bucket(3, i)", "year(d)"]}.get(layout, [])
        properties = {"write.parquet.row-group-limit": "2"}
        properties |= {"write.metadata.metrics.default": "none"} if layout == "no metrics" else {}
        made = lake.create_table("n.t", SCHEMA, partition_by=terms, properties=properties)
        for number in range(6):
            columns = {
                name: [values[number % len(values)], None if number % 3 == 0 else values[(number + 1) % len(values)]]
                * 2
                for name, values in VALUES.items()
            }
            made.append(pa.table(columns, schema=SCHEMA))
        made.append(pa.table({name: [None, None] for name in VALUES}, schema=SCHEMA))
        made.append(pa.table({**{name: [None] for name in VALUES}, "x": [NAN], "y": [NAN]}, schema=SCHEMA))
        scan = made.scan()
        held = {each.path: pa.Table.from_batches(read_batches(scan._spec, [each]), scan.schema) for each in scan.pieces}
        _tables[layout] = made, held
    return _tables[layout]
