"""Keys against plain Python: which rows have one, and which files may."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lakeflow as lf
from lakeflow_io.errors import DuplicateKeyError
from lakeflow_io.iceberg import keys as module
from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.iceberg.keys import Keys
from lakeflow_io.iceberg.plan import live_files
from lakeflow_io.iceberg.rewrite import full_spec
from lakeflow_io.reader import read_batches

COLUMNS = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.bool_())])
SCHEMA = fresh_schema(COLUMNS, 2)
ROWS = st.lists(
    st.tuples(st.none() | st.integers(-3, 3), st.none() | st.sampled_from(["", "x", "y"]), st.none() | st.booleans()),
    max_size=20,
)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows of the three columns."""
    return pa.Table.from_pylist([dict(zip("abc", row, strict=True)) for row in rows], COLUMNS)


@given(source=ROWS, target=ROWS, names=st.sampled_from(["a", "b", "ab", "bc", "abc"]))
def test_rows_find_their_key(source: list[Any], target: list[Any], names: str) -> None:
    """Each row gets the number of the one row that has its key; null is equal to nothing."""

    def key(row: tuple[Any, ...]) -> tuple[Any, ...] | None:
        values = tuple(row["abc".index(name)] for name in names)
        return None if None in values else values

    known = {key(row): number for number, row in reversed(list(enumerate(source)))}
    source = [row for number, row in enumerate(source) if key(row) is None or known[key(row)] == number]
    numbers = {key(row): number for number, row in enumerate(source)}

    found = Keys(table(source), list(names), SCHEMA).rows_of(table(target)).to_pylist()

    assert [None if key(row) is None else numbers.get(key(row)) for row in target] == found


def test_large_keys_are_numbered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the columns' numbers don't fit together into one, the answer is the same."""
    monkeypatch.setattr(module, "_MOST_COMBINED", 3)
    rows = [(a, b, c) for a in range(4) for b in ("x", "y") for c in (True, False)]

    found = Keys(table(rows), ["a", "b", "c"], SCHEMA).rows_of(table([*rows[::-1], (9, "x", True)])).to_pylist()

    assert [*range(len(rows) - 1, -1, -1), None] == found


@pytest.mark.parametrize("names", [["a"], ["a", "c"]])
def test_a_key_that_is_there_twice_is_named(names: list[str]) -> None:
    """With its values."""
    with pytest.raises(DuplicateKeyError, match=r"1 keys .* a=2"):
        Keys(table([(1, "x", True), (2, "x", True), (2, "y", True)]), names, SCHEMA)


@pytest.mark.parametrize("partition_by", [[], ["bucket(4, a)"], ["b"], ["truncate(2, a)", "b"]])
@given(source=st.lists(st.tuples(st.integers(-40, 40), st.sampled_from(["", "x", "long text that is cut behind 16"]))))
def test_no_file_with_a_key_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, partition_by: list[str], source: list[Any]
) -> None:
    """A file that holds a key may hold one by its manifest, whatever it is partitioned by."""
    rows = table([(a, b, None) for a, b in dict.fromkeys(source)])
    target, held = _target(tmp_path_factory, partition_by)
    spec = full_spec(target.iceberg, "t", target.snapshot.id)
    live = live_files(target.iceberg, spec, [field.field_id for field in spec.columns.fields])
    for names in (["a", "b"], ["a"] if len({a for a, _ in source}) == len(source) else ["b", "a"]):
        keys = Keys(rows, names, target.iceberg.schema())

        may = {path for path, each in live.items() if keys.may_be_in(each, target.iceberg.specs())}

        for path, found in held.items():
            assert path in may or keys.rows_of(found).null_count == found.num_rows


_targets: dict[str, Any] = {}


def _target(factory: pytest.TempPathFactory, partition_by: list[str]) -> tuple[lf.Table, dict[str, pa.Table]]:
    """Fifty rows in many files, made once for each layout, and the rows of each file."""
    name = str(partition_by)
    if name not in _targets:
        folder = factory.mktemp("keys")
        lake = lf.connect(type="sql", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
        made = lake.create_table("n.t", COLUMNS, partition_by=partition_by)
        for start in range(-25, 25, 10):
            texts = ["", "x", "long text that is cut behind 16 characters", "long text that is cut behind 16", None]
            made.append(table([(start + n, texts[n % 5], None) for n in range(10)]))
        scan = made.scan()
        held = {each.path: pa.Table.from_batches(read_batches(scan._spec, [each]), scan.schema) for each in scan.pieces}
        _targets[name] = made, held
    return _targets[name]
