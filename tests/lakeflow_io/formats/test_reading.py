"""A scan over files of all formats: in order, filtered, in shards, without deleted rows, within its budget."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lakeflow_io.errors import ConfigError, CorruptFileError
from lakeflow_io.iceberg.shards import balance
from lakeflow_io.reader import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ["ORC", "AVRO"]
MIB = 1024 * 1024


@pytest.fixture
def mixed(memory_files: Callable[..., Any], numbers: Callable[..., pa.Table]) -> Any:
    """A hundred rows in each of six files, two of each format."""
    files = memory_files(numbers(1).schema, 30)
    for number, kind in enumerate(["ORC", "PARQUET", "AVRO", "AVRO", "PARQUET", "ORC"]):
        files.put(kind, numbers(100, 100 * number), group=30)
    return files


def test_files_come_in_order(mixed: Any) -> None:
    """Whatever their formats, in whatever order they were fetched."""
    assert mixed.read()["id"].to_pylist() == list(range(600))


@pytest.mark.parametrize("where", ["id >= 250 and id < 420", "text = 'row 77'", "half > 299", "id < 0"])
def test_filters_are_exact(mixed: Any, where: str) -> None:
    """Rows that pass, and no others; the filter's column need not be asked for."""
    test = {
        "id >= 250 and id < 420": lambda id_: 250 <= id_ < 420,
        "text = 'row 77'": lambda id_: id_ == 77,
        "half > 299": lambda id_: id_ / 2 > 299,
        "id < 0": lambda id_: id_ < 0,
    }[where]

    assert mixed.read(mixed.spec(["id"], where))["id"].to_pylist() == [each for each in range(600) if test(each)]
    assert mixed.read(mixed.spec(["half"], where))["half"].to_pylist() == [e / 2 for e in range(600) if test(e)]


@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_shards_have_each_row_once(mixed: Any, n: int) -> None:
    """ORC is cut between stripes, as Parquet between row groups; an Avro file is in one shard."""
    shards = balance(mixed.spec(), mixed.pieces, n)

    found = [row for shard in shards for row in mixed.read(pieces=shard.pieces)["id"].to_pylist()]

    assert sorted(found) == list(range(600))
    if n == 100:
        cut = {piece.path.rpartition(".")[2] for shard in shards for piece in shard.pieces if not piece.is_whole}
        assert cut == {"orc", "parquet"}


def test_the_report_counts_them(mixed: Any) -> None:
    """Files, what is decoded at once, rows, and bytes that were asked for: here each file comes whole."""
    counters = Counters()

    mixed.read(counters=counters)

    report = counters.report()
    assert (report.files, report.rows, report.row_groups_pruned) == (6, 600, 0)
    assert report.row_groups >= 4 + 4 + 4 + 4 + 1 + 1
    assert report.bytes_wanted == sum(piece.file_size for piece in mixed.pieces)


def large(kind: str, files: Any, rows: int, seed: int = 0) -> pa.Table:
    """Values that no encoding makes smaller, in stripes or blocks of a thousand rows."""
    random = np.random.default_rng(seed)
    made = pa.table({"id": random.integers(0, 2**62, rows), "text": random.integers(0, 2**62, rows).astype(str)})
    files.put(kind, made, group=1000, codec={"ORC": "uncompressed", "AVRO": "null"}[kind])
    return made


SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_file_is_read_in_parts(memory_files: Callable[..., Any], kind: str) -> None:
    """Of ORC a tail and stripes are asked for; its shards fetch their own stripes and no others."""
    files = memory_files(SCHEMA)
    rows = large(kind, files, 60_000)
    size, counters = files.pieces[0].file_size, Counters()
    assert size > MIB

    found = files.read(counters=counters)

    assert rows.equals(found)
    assert counters.row_groups > 1
    assert size <= counters.bytes_wanted < 1.2 * size
    if kind == "ORC":
        shard, counters = balance(files.spec(), files.pieces, 4)[0], Counters()
        found = files.read(pieces=shard.pieces, counters=counters)
        assert 0 < found.num_rows < 20_000
        assert counters.bytes_wanted < 0.5 * size


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_rows_is_damage(mixed: Any, kind: str) -> None:
    """The manifest knows how many rows a file has; one with more or fewer is another file."""
    piece = next(each for each in mixed.pieces if each.format == kind)

    with pytest.raises(CorruptFileError, match=rf"{piece.path} has 100 rows, not 99"):
        mixed.read(pieces=[replace(piece, rows=99)])


def test_avro_without_fastavro(mixed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an extra, which the error names beside the file."""
    monkeypatch.setitem(sys.modules, "fastavro", None)
    piece = next(each for each in mixed.pieces if each.format == "AVRO")

    with pytest.raises(ConfigError, match=piece.path) as caught:
        mixed.read(pieces=[piece])

    assert caught.value.hint == 'pip install "lakeflow[avro]"'
