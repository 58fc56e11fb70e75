"""Streams of any length into any number of partitions: bounded memory, files of the wanted size."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeflow_io.errors import ConfigError, InputError, ObjectNotFoundError, SchemaError, StoreError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import lakeflow as lf

SCHEMA = pa.schema([("id", pa.int64()), ("part", pa.int32()), ("value", pa.float64())])

# Peaks are of a process of its own: 500 partitions, and 150 MB of rows in random order.
# With 20 million rows instead of 7.5 it grows by just as much.
_FIVE_HUNDRED = """
import json, resource
import numpy as np, pyarrow as pa
import lakeflow as lf

schema = pa.schema([("id", pa.int64()), ("part", pa.int32()), ("value", pa.float64())])
table = lf.connect().create_table("n.t", schema, partition_by=["part"])
random = np.random.default_rng(5)

def batches():
    for start in range(0, 7_500_000, 250_000):
        part = pa.array(random.integers(0, 500, 250_000), pa.int32())
        yield pa.record_batch([np.arange(start, start + 250_000), part, random.random(250_000)], schema=schema)

table.append(pa.table({"id": [-1], "part": [0], "value": [0.5]}, schema=schema))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table.append(pa.RecordBatchReader.from_batches(schema, batches()), memory="64 MiB")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"grown_mib": (peak - before) // 1024, "rows": table.snapshot.summary["added-records"]}))
"""


def stream(rows: int, parts: int, batch: int = 1000) -> pa.RecordBatchReader:
    """Rows whose partitions come in random order."""
    random = np.random.default_rng(3)

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, batch):
            part = pa.array(random.integers(0, parts, batch), pa.int32())
            yield pa.record_batch([np.arange(start, start + batch), part, random.random(batch)], schema=SCHEMA)

    return pa.RecordBatchReader.from_batches(SCHEMA, batches())


def files(table: lf.Table) -> list[dict[str, Any]]:
    """What the manifests say of the data files."""
    return table.iceberg.inspect.files().to_pylist()


def test_five_hundred_partitions_take_bounded_memory(tmp_path: Any) -> None:
    """More than twice the memory in rows: what the process grows by has a bound, and all rows are there."""
    done = subprocess.run(
        [sys.executable, "-c", _FIVE_HUNDRED], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] == "7500000"
    assert found["grown_mib"] < 256  # the budget, what encoding takes, and what the allocator doesn't give back


@pytest.mark.parametrize("memory", ["1 MiB", "64 MiB"])
def test_rows_lie_in_their_partitions(embedded: lf.Lake, namespace: str, memory: str) -> None:
    """Whether files are closed early or not, each has rows of one partition, and no row is lost."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["part"])

    table.append(stream(100_000, 20), memory=memory)

    found = table.scan().read().to_arrow()
    assert np.array_equal(np.arange(100_000), np.sort(found["id"].to_numpy()))
    for shard in table.scan().shards(by="partition"):
        part = int(shard.partition.partition("=")[2])
        rows = table.scan(where=f"part = {part}").read().to_arrow()
        assert rows["part"].unique().to_pylist() == [part]
    assert len(files(table)) == 20 if memory == "64 MiB" else len(files(table)) > 40


def test_files_have_the_target_size(embedded: lf.Lake, namespace: str) -> None:
    """Bytes on disk: all but the first, before which nothing is known, and the last are within a tenth of it."""
    properties = {"write.target-file-size-bytes": "400000"}
    table = embedded.create_table(f"{namespace}.t", SCHEMA, properties=properties)

    table.append(stream(300_000, 3))

    sizes = [file["file_size_in_bytes"] for file in files(table)]
    assert len(sizes) > 5
    assert all(360_000 < size < 440_000 for size in sorted(sizes)[1:-1])


@pytest.mark.parametrize("order", [["value desc", "id"], ["bucket(4, id)", "value"]])
def test_each_file_is_sorted_as_a_whole(embedded: lf.Lake, namespace: str, order: list[str]) -> None:
    """Files of a sorted table say so, and are, however many row groups they have."""
    properties = {"write.target-file-size-bytes": "400000", "write.parquet.row-group-limit": "2000"}
    table = embedded.create_table(f"{namespace}.t", SCHEMA, sort_by=order, properties=properties)

    table.append(stream(200_000, 3))

    bucket = table.iceberg.sort_order().fields[0].transform.transform(table.iceberg.schema().find_type("id"))
    keys: dict[str, Callable[[dict[str, Any]], Any]] = {
        "value desc": lambda row: (-row["value"], row["id"]),
        "bucket(4, id)": lambda row: (bucket(row["id"]), row["value"]),
    }
    assert len(files(table)) > 2
    for file in files(table):
        data = pq.ParquetFile(pa.BufferReader(open_transport({}).get(file["file_path"])))
        found = [keys[order[0]](row) for row in data.read().to_pylist()]
        assert found == sorted(found)
        assert (file["sort_order_id"], data.num_row_groups > 1) == (1, True)
        assert len(file["split_offsets"]) == data.num_row_groups


def test_row_groups_have_the_size_that_a_property_says(embedded: lf.Lake, namespace: str) -> None:
    """In bytes of Arrow memory, and in rows."""
    properties = {"write.parquet.row-group-size-bytes": "100000"}
    table = embedded.create_table(f"{namespace}.t", SCHEMA, properties=properties)

    table.append(stream(100_000, 3))

    [file] = files(table)
    assert 18 <= len(file["split_offsets"]) <= 25


def test_row_groups_are_large_by_default(embedded: lf.Lake, namespace: str) -> None:
    """However small the batches of a stream are."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    table.append(stream(200_000, 3, batch=100))

    [file] = files(table)
    assert len(file["split_offsets"]) == 1


@pytest.mark.parametrize("name", ["write.target-file-size-bytes", "write.parquet.row-group-size-bytes"])
@pytest.mark.parametrize("value", ["0", "-5", "large"])
def test_a_wrong_size_is_told(embedded: lf.Lake, namespace: str, name: str, value: str) -> None:
    """By the property's name, before anything is written."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, properties={name: value})

    with pytest.raises(ConfigError, match=name):
        table.append(stream(1000, 3))


def test_a_stream_that_ends_with_an_error_leaves_nothing(embedded: lf.Lake, namespace: str) -> None:
    """Files that were written before it are taken away; so are those of a batch that doesn't fit."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["part"])
    fitting = stream(20_000, 3).read_all()

    def broken() -> Iterator[pa.RecordBatch]:
        yield from fitting.to_batches()
        raise RuntimeError("the caller's")

    wrong = [*fitting.to_batches(), pa.record_batch({"id": [1], "part": pa.array([1], pa.int32()), "other": [1.0]})]
    with pytest.raises(RuntimeError, match="the caller's"):
        table.append(pa.RecordBatchReader.from_batches(SCHEMA, broken()), memory="256 KiB")
    with pytest.raises(SchemaError):
        table.append([pa.Table.from_batches([each]) for each in wrong], memory="256 KiB")

    assert list(open_transport({}).list(f"{table.location}/data")) == []
    assert table.refresh().snapshot is None


def test_a_stream_that_arrow_reports_broken_is_the_callers(embedded: lf.Lake, namespace: str) -> None:
    """Behind a C stream an exception is text: it is in the message, under an error of ours."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    def broken() -> Iterator[pa.RecordBatch]:
        yield from stream(1000, 3)
        raise RuntimeError("the caller's")

    class Stream:
        def __arrow_c_stream__(self, requested: object = None) -> object:
            return pa.RecordBatchReader.from_batches(SCHEMA, broken()).__arrow_c_stream__(requested)

    with pytest.raises(InputError, match="the caller's"):
        table.append(Stream())


def test_a_scan_that_fails_says_why(embedded: lf.Lake, namespace: str) -> None:
    """A table's own error is raised as it is: its file is gone."""
    source = embedded.create_table(f"{namespace}.source", SCHEMA)
    source.append(stream(1000, 3))
    [piece] = source.scan().pieces
    open_transport({}).delete(piece.path)

    with pytest.raises(ObjectNotFoundError):
        embedded.create_table(f"{namespace}.t", SCHEMA).append(source.scan())


def test_a_store_that_fails_leaves_nothing(embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third file is refused: the first two go."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["part"])
    transport = open_transport({})
    original, opened = transport.open_output, iter(range(100))

    def open_output(uri: str) -> Any:
        if next(opened) == 2:
            raise StoreError("full")
        return original(uri)

    monkeypatch.setattr(transport, "open_output", open_output)

    with pytest.raises(StoreError, match="full"):
        table.append(stream(1000, 5))

    assert list(transport.list(f"{table.location}/data")) == []


def test_an_empty_stream_is_an_append_of_nothing(embedded: lf.Lake, namespace: str) -> None:
    """A snapshot without files, as before; its columns are looked at all the same."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    table.append(SCHEMA.empty_table())
    with pytest.raises(SchemaError):
        table.append(pa.schema([("other", pa.int64())]).empty_table())

    assert len(table.snapshots()) == 1
