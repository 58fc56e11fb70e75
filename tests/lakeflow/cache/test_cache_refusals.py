"""What a cache refuses: roots, names, and data that can't be looked up."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakeflow.cache import Cache
from lakeflow_io.errors import (
    ConfigError,
    DuplicateKeyError,
    InputError,
    NotFoundError,
    SchemaError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("root", ["valkey://host", "dynamodb://table", "https://host/x", "file://host/x"])
def test_other_roots_are_refused(root: str) -> None:
    """A root that is neither a folder nor a store of objects is refused, and the error says what is supported."""
    with pytest.raises(ConfigError, match=r"(?s)can't be kept at .*s3://"):
        Cache("scores", root)


@pytest.mark.parametrize("root", ["s3://", "s3://me:word@bucket/caches", "valkey://me:word@host"])
def test_a_url_that_cannot_be(root: str) -> None:
    """One without a bucket, or with a password in it, which isn't repeated."""
    with pytest.raises(ConfigError) as refused:
        Cache("scores", root)

    assert "word@" not in str(refused.value)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", ".hidden", "a\n", "a b", "ä", None, "a\0"])
def test_other_names_are_refused(name: Any, tmp_path: Path) -> None:
    """No name reaches another folder."""
    with pytest.raises(InputError):
        Cache(name, tmp_path)


def test_a_file_uri_is_a_folder(tmp_path: Path) -> None:
    """A file URI and a path name one cache."""
    root = tmp_path / "with space"
    Cache("scores", root).load(pa.table({"id": [1]}), key="id")

    assert Cache("scores", root.as_uri()).get(1) == {"id": 1}


def test_keep_must_leave_a_version(tmp_path: Path) -> None:
    """Keeping no version is refused."""
    with pytest.raises(InputError, match="keep=0"):
        Cache("scores", tmp_path, keep=0)


def test_reading_before_the_first_publish_is_not_found(tmp_path: Path) -> None:
    """Every read of a cache without a version says so, and makes no folder."""
    cache = Cache("scores", tmp_path / "none")

    for read in (
        lambda: cache.get(1),
        lambda: cache.get_many([1]),
        lambda: len(cache),
        lambda: cache.schema,
        cache.verify,
        cache.repair,
        cache.rollback,
    ):
        with pytest.raises(NotFoundError, match="has no version"):
            read()
    assert cache.versions() == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0]),
        pa.array([True]),
        pa.array([dt.date(2026, 1, 1)]),
        pa.array([[1]]),
        pa.array([b"12"], pa.binary(2)),
        pa.array([1, None]),
        pa.array(["a", None]),
    ],
    ids=lambda column: str(column.type),
)
def test_other_keys_are_refused(column: pa.Array, tmp_path: Path) -> None:
    """Floats, booleans, dates, lists, fixed binaries and nulls can't be keys."""
    cache = Cache("scores", tmp_path)

    with pytest.raises(SchemaError, match="'id'"):
        cache.load(pa.table({"id": column}), key="id")
    assert cache.versions() == []


def test_other_columns_are_refused(tmp_path: Path) -> None:
    """A missing key column, a name that is taken or repeated, and a type Arrow can't sort are refused."""
    cache = Cache("scores", tmp_path)
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])

    with pytest.raises(SchemaError, match="no key column 'key'"):
        cache.load(pa.table({"id": [1]}), key="key")
    with pytest.raises(SchemaError, match="'found'"):
        cache.load(pa.table({"id": [1], "found": [1]}), key="id")
    with pytest.raises(SchemaError, match="'x' is there more than once"):
        cache.load(pa.table([[1], [1], [1]], names=["id", "x", "x"]), key="id")
    view = pa.array([[1]], pa.list_view(pa.int8()))
    extension = pa.ExtensionArray.from_storage(pa.opaque(view.type, "view", "vendor"), view)
    for column in (union, view, extension, pc.run_end_encode(pa.array([1]))):
        with pytest.raises(UnsupportedError, match="can't hold a column"):
            cache.load(pa.table({"id": [1], "x": column}), key="id")


@pytest.mark.parametrize(
    "data", [None, 7, "rows", {"id": [1]}, [{"id": 1}], [1, 2], [pa.array([1])], pa.chunked_array([[1]])]
)
def test_data_that_is_not_arrow_is_refused(data: Any, tmp_path: Path) -> None:
    """Python values, and Arrow values that aren't columns of a table, are refused by type."""
    with pytest.raises(InputError, match=r"Arrow data|ChunkedArray"):
        Cache("scores", tmp_path).load(data, key="id")


def test_a_stream_that_fails_is_the_callers(tmp_path: Path) -> None:
    """An Arrow error inside the caller's stream is an InputError, and no version is left."""
    schema = pa.schema([("id", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": [1]})
        raise pa.ArrowInvalid("half a batch")

    with pytest.raises(InputError, match="half a batch"):
        Cache("scores", tmp_path).load(pa.RecordBatchReader.from_batches(schema, batches()), key="id")
    assert list((tmp_path / "scores" / "versions").iterdir()) == []


def test_no_data_at_all_is_refused(tmp_path: Path) -> None:
    """An iterable without a batch has no columns to make a version of."""
    with pytest.raises(SchemaError, match="no data"):
        Cache("scores", tmp_path).load([], key="id")


def test_batches_must_agree(tmp_path: Path) -> None:
    """Batches with other columns, or other types, are refused with both."""
    cache = Cache("scores", tmp_path)

    with pytest.raises(SchemaError, match="other columns"):
        cache.load([pa.table({"id": [1]}), pa.table({"id": [2], "x": [1]})], key="id")
    with pytest.raises(SchemaError, match="other types"):
        cache.load([pa.table({"id": [1], "x": ["a"]}), pa.table({"id": [2], "x": [1]})], key="id")


@pytest.mark.parametrize("ids", [[5, 1, 5, 2, 1, 9], ["e", "a", "e", "b", "a", "i"], [b"e", b"a", b"e", b"a"]])
def test_duplicate_keys_are_named(ids: list[Any], tmp_path: Path) -> None:
    """Two rows with one key stop the load, in one batch or in two; the old version stays."""
    cache = Cache("scores", tmp_path)
    old = cache.load(pa.table({"id": [1]}), key="id")
    table = pa.table({"id": ids})
    named = f"{min(ids)!r}, {ids[0]!r}"

    with pytest.raises(DuplicateKeyError, match=named):
        cache.load(table, key="id")
    with pytest.raises(DuplicateKeyError, match=named):
        cache.load([table.slice(0, 2), table.slice(2)], key="id")
    assert [old] == cache.versions()
    assert [old.id] == [folder.name for folder in (tmp_path / "scores" / "versions").iterdir()]
