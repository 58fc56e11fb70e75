"""Folders in an object store read as the same folders on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import lakeflow as lf
from lakeflow.scan import read_shard
from lakeflow_io.errors import AccessDeniedError, CorruptFileError, NotFoundError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.demo.seaweed import Seaweed

KEYS = ["a", "a/b", "a b", "100%", "%41", "ä", "日本", "x=y", "a+b&c", "it's", "*", "[x]", "?", "#1", None, "~", "a:b"]


def upload(seaweed: Seaweed, folder: Path, prefix: str) -> str:
    """Copy a local folder, name by name; returns its URI."""
    transport, uri = open_transport(seaweed.store_properties), f"s3://plain/{prefix}"
    for path in folder.rglob("*"):
        if path.is_file():
            transport.put(f"{uri}/{path.relative_to(folder)}", path.read_bytes())
    return uri


def rows(table: pa.Table) -> list[Any]:
    """Rows in an order of their own, columns in the order of the names."""
    return sorted(map(repr, table.select(sorted(table.column_names)).to_pylist()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file for each of the keys that paths are hard on."""
    table = pa.table({"k": KEYS, "id": range(len(KEYS))})
    pq.write_to_dataset(table, tmp_path / "t", partition_cols=["k"])
    return tmp_path / "t"


def test_a_hive_folder_on_s3_is_the_one_on_disk(seaweed: Seaweed, folder: Path, namespace: str) -> None:
    """All its rows, its keys decoded, pruned exactly; and in shards, each row once."""
    uri = upload(seaweed, folder, namespace)
    schema = pa.schema([("id", pa.int64()), ("k", pa.string())])
    theirs = ds.dataset(folder, schema=schema, partitioning="hive").to_table()

    scan = lf.scan_parquet(uri, **seaweed.store_properties)
    shards = scan.shards(n=3)

    assert rows(theirs) == rows(scan.read().to_arrow()) == rows(lf.read_parquet(folder).to_arrow())
    assert rows(theirs) == rows(pa.concat_tables([read_shard(shard) for shard in shards]))
    for number, key in enumerate(KEYS):
        where = f"""k = '{key.replace("'", "''")}'""" if key is not None else "k is null"
        one = lf.scan_parquet(uri, where=where, **seaweed.store_properties)
        assert len(one.pieces) == 1
        assert [{"id": number, "k": key}] == one.read().to_pylist()


def test_files_folders_and_globs_on_s3(seaweed: Seaweed, tmp_path: Path, namespace: str) -> None:
    """One file, one partition, several paths, a pattern: what was named and no neighbour."""
    table = pa.table({"year": [2023, 2024, 2024], "n": [1, 1, 2], "id": [0, 1, 2]})
    pq.write_to_dataset(table, tmp_path / "t", partition_cols=["year", "n"], basename_template="part-{i}.parquet")
    (tmp_path / "t" / "_SUCCESS").touch()
    uri = upload(seaweed, tmp_path / "t", f"{namespace}/t")
    upload(seaweed, tmp_path / "t", f"{namespace}/t2")
    store = seaweed.store_properties

    def ids(*paths: str) -> list[int]:
        return lf.read_parquet([f"{uri}{path}" for path in paths], columns="id", **store).to_arrow()["id"].to_pylist()

    assert [0, 1, 2] == ids("") == ids("/") == ids("/**/*.parquet") == ids("/year=*/n=[12]/part-?.parquet")
    assert [1, 2] == ids("/year=2024") == ids("/year=2024/") == ids("/*=2024") == ids("/year=2024/*/part-0.parquet")
    assert ids("/year=2024/n=2/part-0.parquet") == [2]
    assert ids("/year=2024/n=2/part-0.parquet", "/year=2023") == [2, 0]
    assert {"year": 2024, "n": 2, "id": 2} in lf.read_parquet(
        f"{uri}/year=2024/n=2/part-0.parquet", **store
    ).to_pylist()


def test_what_is_wrong_on_s3_is_said(seaweed: Seaweed, tmp_path: Path, namespace: str) -> None:
    """Nothing there, no Parquet, no right: each is its own error and names the path."""
    store = seaweed.store_properties
    (tmp_path / "a.parquet").write_bytes(b"PAR1 is how it begins, and that is all")
    uri = upload(seaweed, tmp_path, namespace)

    for path in ("nothing", "nothing/a.parquet", "no*/a.parquet"):
        with pytest.raises(NotFoundError, match="nothing" if "*" not in path else r"no\*"):
            lf.scan_parquet(f"{uri}/{path}", **store)
    with pytest.raises(CorruptFileError, match=r"a\.parquet"):
        lf.scan_parquet(uri, **store)
    with pytest.raises(AccessDeniedError):
        lf.scan_parquet(uri, **{**store, "s3.secret-access-key": "wrong"})
