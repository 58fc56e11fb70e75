"""Rows change in tables whose files are ORC, Avro and Parquet: what is written anew is Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from encoded import encoded
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["ORC", "AVRO", "PARQUET"]


@pytest.fixture
def mixed(make_table: Callable[..., Any], make_row: Callable[..., Any]) -> Any:
    """Ten rows in a file of each format."""
    made = make_table()
    iceberg = made.table.iceberg
    files = []
    for number, kind in enumerate(KINDS):
        rows = [make_row(each) for each in range(10 * number, 10 * number + 10)]
        made.rows += rows
        path = f"{made.table.location}/data/{kind.lower()}-file"
        data = encoded(kind, pa.Table.from_pylist(rows, made.table.schema), iceberg.schema(), group=4)
        Path(path.removeprefix("file://")).parent.mkdir(parents=True, exist_ok=True)
        Path(path.removeprefix("file://")).write_bytes(data)
        file = DataFile.from_args(
            _table_format_version=2, content=DataFileContent.DATA, file_path=path, file_format=FileFormat[kind],
            partition=Record(), record_count=10, file_size_in_bytes=len(data), sort_order_id=None, spec_id=0,
            equality_ids=None, key_metadata=None,
        )  # fmt: skip
        files.append(file)
    with iceberg.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        for file in files:
            append.append_data_file(file)
    made.table.refresh()
    return made


def formats(table: Any) -> dict[str, str]:
    """The format of each live file, by its name."""
    listed = table.files()
    names = [path.rpartition("/")[2] for path in listed["path"].to_pylist()]
    return dict(zip(names, listed["format"].to_pylist(), strict=True))


def check(mixed: Any) -> None:
    """All rows are there, once."""

    def in_order(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(repr(sorted(row.items())) for row in rows)

    assert in_order(mixed.rows) == in_order(mixed.table.refresh().scan().read().to_pylist())


@pytest.mark.parametrize("mode", ["copy-on-write", "merge-on-read"])
def test_a_delete(mixed: Any, mode: str) -> None:
    """Of some rows of a file of each format; the file makes way for one in Parquet, or stays beside its deletes."""
    mixed.table.delete("n = 3 or id < 2", mode=mode)

    mixed.keep(lambda row: not (row["n"] == 3 or row["id"] < 2))
    check(mixed)
    there = formats(mixed.table)
    if mode == "copy-on-write":
        assert set(there.values()) == {"PARQUET"}
    else:
        assert {f"{kind.lower()}-file": kind for kind in KINDS}.items() <= there.items()


def test_files_that_keep_their_rows_stay(mixed: Any) -> None:
    """Only a file with a row that goes is written anew."""
    mixed.table.delete("id = 15")

    mixed.keep(lambda row: row["id"] != 15)
    check(mixed)
    assert (formats(mixed.table)["orc-file"], "avro-file" in formats(mixed.table)) == ("ORC", False)


def test_an_overwrite(mixed: Any, make_row: Callable[..., Any]) -> None:
    """Rows for which a filter is true make way for others."""
    new = [make_row(each, n=7) for each in (0, 12, 50)]

    mixed.table.overwrite(pa.Table.from_pylist(new, mixed.table.schema), where="id in (0, 12, 50)")

    mixed.keep(lambda row: row["id"] not in (0, 12, 50), *new)
    check(mixed)


def test_an_upsert(mixed: Any, make_row: Callable[..., Any]) -> None:
    """Rows with a key that is there are replaced, whatever file they are in; others are added."""
    new = [make_row(each, n=8) for each in (3, 14, 25, 99)]

    mixed.table.upsert(pa.Table.from_pylist(new, mixed.table.schema), key="id")

    mixed.keep(lambda row: row["id"] not in (3, 14, 25), *new)
    check(mixed)


def test_a_merge(mixed: Any, make_row: Callable[..., Any]) -> None:
    """The same, joined."""
    new = [make_row(each, n=9) for each in (9, 10, 100)]

    mixed.table.merge(pa.Table.from_pylist(new, mixed.table.schema), key="id")

    mixed.keep(lambda row: row["id"] not in (9, 10), *new)
    check(mixed)
