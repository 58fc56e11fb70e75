"""Data and arguments that can't be are the caller's, and are said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import ConfigError, InputError, LakeflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa


@pytest.fixture
def table(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Ten rows."""
    made = embedded.create_table(f"{namespace}.t", numbers(1).schema)
    made.append(numbers(10))
    return made


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "abc",
        b"abc",
        object(),
        {"id": [1, 2], "text": ["a"]},
        {"id": [2**70]},
        {"id": [-(2**64)]},
        {"id": [1, "a"]},
        {"id": 5},
        {"id": None},
        {1: [1]},
        [1, 2],
        [{"id": 1}, 5],
        [{"id": 2**70}],
        [{"id": 1, "nope": 2}],
        [None],
        iter([5]),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_data_that_is_none_is_refused(table: lf.Table, data: Any) -> None:
    """Nothing, ragged columns and numbers too large: an InputError, and the table is as it was."""
    before = table.snapshot

    with pytest.raises(InputError) as caught:
        table.append(data)

    assert str(caught.value)
    assert before == table.refresh().snapshot


def test_a_pandas_frame_of_mixed_types_is_refused(table: lf.Table) -> None:
    """A column of objects that are no one type."""
    import pandas as pd

    with pytest.raises(InputError):
        table.append(pd.DataFrame({"id": [1, "a"]}))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"id": 20, "text": "x", "half": 0.5}], [20]),
        ([{"id": 20}, {"id": 21, "text": None}], [20, 21]),
        ([{"text": "x"}, {"id": 22}], [None, 22]),
        ({"id": []}, []),
    ],
    ids=str,
)
def test_a_list_of_dicts_is_rows(table: lf.Table, rows: Any, expected: list[Any]) -> None:
    """One dict a row; what a row lacks is null, also where only a later row has it."""
    before = table.scan(columns=["id"]).read().to_arrow()["id"].to_pylist()

    table.append(rows)

    found = table.scan(columns=["id"]).read().to_arrow()["id"].to_pylist()
    assert sorted(map(repr, before + expected)) == sorted(map(repr, found))


@pytest.mark.parametrize("n", [-1, 2.5, "a", None])
def test_head_takes_a_count(table: lf.Table, n: Any) -> None:
    """Negative numbers, fractions and text are no counts."""
    with pytest.raises(InputError):
        table.head(n)


@pytest.mark.parametrize(
    "arguments",
    [{"n": 2.5}, {"n": "2"}, {"n": -1}, {"n": [2]}, {"target_size": -1}, {"target_size": [1]}, {"target_size": "many"},
     {"by": 5}, {"by": None}],
    ids=str,
)  # fmt: skip
def test_shards_take_counts_and_sizes(table: lf.Table, arguments: dict[str, Any]) -> None:
    """Whatever can't be counted is refused before files are planned."""
    with pytest.raises(InputError):
        table.scan().shards(**arguments)


@pytest.mark.parametrize(
    "memory", [-1, 0, "lots", [1], object(), b"1"], ids=lambda value: repr(value).partition(" at 0x")[0]
)
def test_memory_is_a_size(table: lf.Table, memory: Any) -> None:
    """A budget that is no size is refused, by all that take one."""
    for read in (table.scan().read, lambda memory: list(table.scan().batches(memory=memory)), table.scan().to_reader):
        with pytest.raises(InputError):
            read(memory=memory)


@pytest.mark.parametrize("snapshot", ["abc", 1.5, [1], 17])
def test_a_snapshot_is_an_id(table: lf.Table, snapshot: Any) -> None:
    """What names no snapshot is an error of ours."""
    with pytest.raises(InputError):
        table.scan(snapshot=snapshot)


@pytest.mark.parametrize("run_id", [5, "", b"x", ["x"]])
def test_an_appends_run_id_is_a_name(table: lf.Table, run_id: Any) -> None:
    """The same rule as for runs: said before anything is staged."""
    with pytest.raises(InputError, match="run id"):
        table.append({"id": [1]}, run_id=run_id)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("write.parquet.compression-level", "x"),
        ("write.parquet.compression-codec", "bogus"),
        ("write.parquet.row-group-limit", "many"),
        ("write.parquet.row-group-limit", "0"),
        ("write.parquet.page-size-bytes", "x"),
    ],
)
def test_a_writers_property_that_cannot_be_is_a_config_error(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], name: str, value: str
) -> None:
    """Said when the table is made, or at the latest when it is written; the message names the property."""
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        embedded.create_table(f"{namespace}.t", numbers(1).schema, properties={name: value}).append(numbers(3))


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed", "ZSTD"])
def test_a_known_codec_is_used(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], codec: str) -> None:
    """Each codec of the specification, in any case, with or without a level that it takes."""
    for number, level in enumerate([{}, {"write.parquet.compression-level": "3"}]):
        if level and codec.lower() not in ("zstd", "gzip", "brotli"):
            continue
        properties = {"write.parquet.compression-codec": codec, **level}
        made = embedded.create_table(f"{namespace}.t{number}", numbers(1).schema, properties=properties)
        made.append(numbers(3))

        assert len(made.scan().read()) == 3


@pytest.mark.parametrize("endpoint", ["not a url", "http://", "ftp://x", "://", "localhost:9000"])
def test_an_endpoint_that_is_no_url_is_a_config_error(
    tmp_path: Path, numbers: Callable[..., pa.Table], endpoint: str
) -> None:
    """Said at once, with the property's name, not after a minute of retries."""
    properties = {"s3.endpoint": endpoint, "s3.access-key-id": "a", "s3.secret-access-key": "b"}
    warehouse, uri = "s3://bucket/folder", f"sqlite:///{tmp_path}/catalog.db"

    with pytest.raises(ConfigError, match=r"s3\.endpoint") as caught:
        lf.connect(type="sql", uri=uri, warehouse=warehouse, **properties).create_table("a.b", numbers(1).schema)

    assert isinstance(caught.value, LakeflowError)
    assert endpoint in caught.value.message
