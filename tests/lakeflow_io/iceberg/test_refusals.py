"""What this version can't read it refuses by name; it never leaves rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    import lakeflow as lf


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """One data file of three rows."""
    made = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]))
    made.append(pa.table({"id": [1, 2, 3]}))
    return made


def commit_file(table: lf.Table, content: DataFileContent, kind: FileFormat, path: str) -> None:
    """Add a file of any kind to the table's metadata, as another writer may have."""
    file = DataFile.from_args(
        _table_format_version=2, content=content, file_path=path, file_format=kind, partition=Record(), record_count=1,
        file_size_in_bytes=100, sort_order_id=None, spec_id=0, equality_ids=None, key_metadata=None,
    )  # fmt: skip
    with table.iceberg.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
        append.append_data_file(file)
    table.refresh()


def test_a_file_of_another_format_is_refused(table: lf.Table) -> None:
    """The plan names the file and its format before anything is read."""
    commit_file(table, DataFileContent.DATA, FileFormat.PUFFIN, "file:///elsewhere/data.other")

    with pytest.raises(UnsupportedError, match=r"data\.other is PUFFIN") as caught:
        table.scan().read()

    assert table.name in caught.value.message


def test_shards_are_refused_as_scans_are(table: lf.Table) -> None:
    """Cutting shards finds the same file, so that no run begins on it."""
    commit_file(table, DataFileContent.DATA, FileFormat.PUFFIN, "file:///elsewhere/data.other")

    with pytest.raises(UnsupportedError, match=r"data\.other"):
        table.scan().shards(n=2)
