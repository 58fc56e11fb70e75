"""Files of many schemas in one table: with and without field ids, over any history of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow as lf

if TYPE_CHECKING:
    import pytest


def test_a_name_mapping_follows(embedded: lf.Lake, namespace: str, tmp_path: Any) -> None:
    """Files without field ids are still read after their columns were renamed and others added."""
    (tmp_path / "files").mkdir()
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", "b"]}), tmp_path / "files" / "f.parquet")
    table = embedded.adopt(tmp_path / "files", f"{namespace}.t")
    with table.update_schema() as change:
        change.rename("name", "title").add("year", pa.int64())
    table.append({"id": [3], "title": ["c"], "year": [7]})

    found = sorted(table.scan().read().to_pylist(), key=lambda row: row["id"])

    assert [(row["id"], row["title"], row["year"]) for row in found] == [(1, "a", None), (2, "b", None), (3, "c", 7)]


def test_a_name_in_files_without_ids_stays_with_its_first_column(
    embedded: lf.Lake, namespace: str, tmp_path: Any
) -> None:
    """Old values don't show under a new column of the same name and type: after a rename, a drop, inside a struct."""
    (tmp_path / "files").mkdir()
    rows = pa.table({"id": [1], "name": ["a"], "s": [{"x": "in", "y": 2}]})
    pq.write_table(rows, tmp_path / "files" / "f.parquet")
    table = embedded.adopt(tmp_path / "files", f"{namespace}.t")
    with table.update_schema() as change:
        change.rename("name", "title").drop("s.x").drop("id")
    with table.update_schema() as change:
        change.add("name", pa.string()).add("s.x", pa.string()).add("id", pa.int64())
    table.append({"title": ["b"], "name": ["n"], "s": [{"y": 3, "x": "new"}], "id": [2]})

    old, new = sorted(table.scan().read().to_pylist(), key=lambda row: row["title"])

    assert old == {"title": "a", "s": {"y": 2, "x": None}, "name": None, "id": None}
    assert new == {"title": "b", "s": {"y": 3, "x": "new"}, "name": "n", "id": 2}


@settings(max_examples=10)  # each makes a lake; longer histories are in writing/test_machine.py
@given(data=st.data())
def test_any_history_of_columns_reads_as_a_model_says(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Random adds, drops, renames, moves and promotions between appends, at the top and in a struct."""
    home = tmp_path_factory.mktemp("lake")
    lake = lf.connect(type="sql", uri=f"sqlite:///{home}/c.db", warehouse=f"file://{home}")
    table = lake.create_table("n.t", pa.schema([("k", pa.int32()), ("s", pa.struct([("f0", pa.int32())]))]))
    tops, inner, fresh = {"k": 0}, {"f0": 1}, 2  # name -> identity of the column
    rows: list[dict[int, int]] = []
    struct_first = False
    for number in range(data.draw(st.integers(1, 4))):
        rows.append({column: 100 * number + column for column in (*tops.values(), *inner.values())})
        table.append(_row(table.schema, tops, inner, rows[-1]))
        with table.update_schema() as change:
            prefix, names = data.draw(st.sampled_from([("", tops), ("s.", inner)]))
            step = data.draw(st.sampled_from(["add", "drop", "rename", "promote", "again"]))
            name = data.draw(st.sampled_from(sorted(names)))
            if step == "add" or len(names) == 1:
                names[f"n{fresh}"], fresh = fresh, fresh + 1
                change.add(f"{prefix}{list(names)[-1]}", pa.int32())
            elif step == "rename":
                names[f"r{number}{name}"] = names.pop(name)
                change.rename(f"{prefix}{name}", f"r{number}{name}")
            elif step == "promote":
                change.promote(f"{prefix}{name}", pa.int64())
            else:
                change.drop(f"{prefix}{name}")
                del names[name]
            if data.draw(st.booleans()) and not struct_first:
                change.move("s", first=True)
                struct_first = True
        if step == "again" and name not in names:
            with table.update_schema() as change:
                names[name], fresh = fresh, fresh + 1
                change.add(f"{prefix}{name}", pa.int32())

    found = sorted(table.scan().read().to_pylist(), key=repr)

    expected = [
        {**{n: row.get(c) for n, c in tops.items()}, "s": {n: row.get(c) for n, c in inner.items()}} for row in rows
    ]
    in_order = [{name: row[name] for name in table.schema.names} for row in expected]
    assert sorted(_canonical(row) for row in in_order) == sorted(_canonical(row) for row in found)


def _row(schema: pa.Schema, tops: dict[str, int], inner: dict[str, int], values: dict[int, int]) -> pa.Table:
    row: dict[str, Any] = {name: values[column] for name, column in tops.items()}
    row["s"] = {name: values[column] for name, column in inner.items()}
    return pa.Table.from_pylist([row], schema)


def _canonical(row: dict[str, Any]) -> str:
    return repr(
        sorted((name, sorted(value.items()) if isinstance(value, dict) else value) for name, value in row.items())
    )
