"""What manifests say of files that were written, as pyiceberg's own reader shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import lakeflow as lf

NAN = float("nan")
SCHEMA = pa.schema([("x", pa.float64()), ("t", pa.string()), ("s", pa.struct([("y", pa.float32())]))])
ROWS = pa.table(
    {
        "x": [NAN, 2.5, None, NAN],
        "t": ["b" * 20, None, "a" * 20, "c"],
        "s": [{"y": NAN}, {"y": 1.0}, None, {"y": None}],
    },
    schema=SCHEMA,
)


def known(table: lf.Table) -> dict[str, dict[str, Any]]:
    """Of the table's one file, what is known of each column that is."""
    [file] = table.iceberg.inspect.files().to_pylist()
    names = table.iceberg.schema().find_column_name
    facts = {
        name: {names(each): value for each, value in file[name] or ()}
        for name in ("value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")
    }
    columns = {column for found in facts.values() for column in found}
    return {
        column: {name: found[column] for name, found in facts.items() if column in found} for column in sorted(columns)
    }


def test_counts_and_bounds_are_told(embedded: lf.Lake, namespace: str) -> None:
    """NaN are counted, of a struct's field, too, and no bound is one; texts are cut behind 16 characters."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)
    table.append(ROWS)

    found = known(table)

    assert found["x"] | {"lower_bounds": 2.5, "upper_bounds": 2.5} == {
        "value_counts": 4, "null_value_counts": 1, "nan_value_counts": 2, "lower_bounds": 2.5, "upper_bounds": 2.5,
    }  # fmt: skip
    assert (found["t"]["lower_bounds"], found["t"]["upper_bounds"]) == (b"a" * 16, b"c")
    assert "nan_value_counts" not in found["t"]
    assert found["s.y"] == {"value_counts": 4, "null_value_counts": 2, "nan_value_counts": 1}


@pytest.mark.parametrize("mode", ["none", "counts", "truncate(2)", "full"])
def test_a_tables_property_says_what_is_kept(embedded: lf.Lake, namespace: str, mode: str) -> None:
    """Of all columns, and of one of them otherwise."""
    table = embedded.create_table(
        f"{namespace}.t",
        SCHEMA,
        properties={"write.metadata.metrics.default": mode, "write.metadata.metrics.column.x": "counts"},
    )
    table.append(ROWS)

    found = known(table)

    assert found["x"] == {"value_counts": 4, "null_value_counts": 1, "nan_value_counts": 2}
    bounds = {"truncate(2)": (b"aa", b"c"), "full": (b"a" * 20, b"c")}.get(mode)
    counts = {"value_counts": 4, "null_value_counts": 1}
    assert ("s.y" in found) == (mode != "none")
    assert found.get("t") == (
        None
        if mode == "none"
        else counts
        if bounds is None
        else dict(counts, lower_bounds=bounds[0], upper_bounds=bounds[1])
    )


@pytest.mark.parametrize("mode", ["some", "truncate", "truncate(0)"])
@pytest.mark.parametrize("name", ["default", "column.t"])
def test_a_mode_that_is_none_is_told(embedded: lf.Lake, namespace: str, name: str, mode: str) -> None:
    """Before anything is written."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, properties={f"write.metadata.metrics.{name}": mode})

    def batches() -> Iterator[pa.RecordBatch]:
        raise AssertionError("rows were asked for")
        yield

    with pytest.raises(ConfigError, match=rf"metrics\.{name}"):
        table.append(pa.RecordBatchReader.from_batches(SCHEMA, batches()))

    assert table.refresh().snapshot is None


def test_counts_of_nan_leave_files_out(embedded: lf.Lake, namespace: str) -> None:
    """A file without NaN isn't opened for them, nor one of nothing else for numbers."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)
    for values in ([1.0, 2.0], [NAN, NAN], [NAN, 1.0]):
        table.append(pa.table({"x": values}, schema=pa.schema([SCHEMA.field("x")])))

    found = {where: len(table.scan(where=where).pieces) for where in ("x is nan", "x > 0", "x != 1", "x = 1")}

    assert found == {"x is nan": 2, "x > 0": 2, "x != 1": 3, "x = 1": 2}
