"""Damage of rows files: what look-ups and `verify` find, and what `repair` brings back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

import lakeflow.cache.building.build as build_module
import lakeflow.cache.rows.file as file_module
import lakeflow.cache.rows.mapped as mapped_module
from lakeflow.cache import Cache
from lakeflow.cache.files import mapping
from lakeflow.cache.rows.fields import Fields
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEYS = range(60)
NAME = "shard-0001.rows"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return a cache of three shards, with buckets of a few rows."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 25)
    monkeypatch.setattr(file_module, "_BUCKET_BYTES", 100)
    cache = Cache("scores", tmp_path, layout="rows")
    cache.load(pa.table({"id": KEYS, "text": [str(n) for n in KEYS]}), key="id")
    return cache


def file_of(cache: Cache, name: str = NAME) -> Path:
    """Return the path of a file of the current version."""
    return Path(cache.root) / cache.name / "versions" / cache.version.id / name


def flip(path: Path) -> None:
    """Flip a bit in every eighth byte of the middle of a file, where buckets are."""
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 4, len(content) // 2, 8):
        content[place] ^= 1
    path.write_bytes(content)


def damaged(path: Path, step: int) -> Iterator[int]:
    """Flip one bit after the other, each alone, in every `step`th byte of a file."""
    whole = path.read_bytes()
    for place in range(0, len(whole), step):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        yield place
    path.write_bytes(whole)


def answer(look_up: Callable[[Any], Any], asked: Any) -> Any:
    """What is found, or which file is named as damaged."""
    try:
        return look_up(asked)
    except CorruptFileError as error:
        return NAME if NAME in str(error) else error


def test_a_flipped_bit_never_changes_an_answer(cache: Cache, tmp_path: Path) -> None:
    """Wherever it is in the file: rows are right, or the file is named; one by one, and many at once."""
    many = 0
    for place in damaged(file_of(cache), step=5):
        reader = Cache("scores", tmp_path)
        seen = [answer(reader.get, key) for key in KEYS]
        assert all(row in ({"id": key, "text": str(key)}, NAME) for key, row in zip(KEYS, seen, strict=True)), place
        found = answer(Cache("scores", tmp_path).get_many, KEYS)
        if NAME in seen:
            assert found == NAME, place
            many += 1
        else:
            assert found["text"].to_pylist() == [str(key) for key in KEYS], place
    assert many > 100


def test_the_error_says_which_bucket_and_what_to_do(cache: Cache, tmp_path: Path) -> None:
    """File, bucket, both sums; `repair` helps, and so does a rollback. Other buckets are read on."""
    path = file_of(cache)
    facts = cache._version().manifest.shards[1]
    bucket = (
        mapped_module.MappedRows(str(path), mapping.mapped(path), facts.first_hash, facts.last_hash)
        .buckets()
        .one(facts.first_hash)
        or b""
    )
    path.write_bytes(path.read_bytes().replace(bucket, bucket[:-1] + bytes([bucket[-1] ^ 1])))
    reader = Cache("scores", tmp_path)
    errors = []
    for key in KEYS:
        try:
            reader.get(key)
        except CorruptFileError as error:
            errors.append(str(error))

    assert 1 <= len(errors) < 10
    assert all("Bucket " in error and str(path) in error and "repair()" in error for error in errors)


def test_repair_writes_the_same_file_again(cache: Cache, tmp_path: Path) -> None:
    """One that is damaged, and one that is gone; who repairs reads on from the new ones, as does who opens then."""
    second = file_of(cache, "shard-0000.rows")
    originals = file_of(cache).read_bytes(), second.read_bytes()
    flip(file_of(cache))
    second.unlink()
    with pytest.raises(ObjectNotFoundError, match=r"shard-0000\.rows"):
        Cache("scores", tmp_path).get(1)
    with pytest.raises(ObjectNotFoundError, match=r"shard-0000\.rows"):
        cache.verify()

    assert cache.repair() == ["shard-0000.rows", NAME]
    assert (file_of(cache).read_bytes(), second.read_bytes()) == originals
    assert cache.repair() == []
    assert cache.verify() == cache.version
    for each in (cache, Cache("scores", tmp_path)):
        assert [each.get(key)["text"] for key in KEYS] == [str(key) for key in KEYS]


def test_a_repair_that_comes_out_otherwise_leaves_the_file(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rows file isn't computed as it was, as by another version of Arrow, none is put in place."""
    path = file_of(cache)
    path.write_bytes(damage := path.read_bytes()[:-1])
    monkeypatch.setattr(file_module, "_BUCKET_BYTES", 50)

    with pytest.raises(CorruptFileError, match=f"computed in place of {NAME}"):
        cache.repair()
    assert path.read_bytes() == damage


def test_a_truncated_file_is_not_mapped(cache: Cache, tmp_path: Path) -> None:
    """A file of another size is refused when the version is opened, by name."""
    path = file_of(cache)
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(CorruptFileError, match=NAME):
        Cache("scores", tmp_path).get(1)


def test_columns_are_read_whatever_the_rows_are(cache: Cache, tmp_path: Path) -> None:
    """What reads a version from one end to the other needs no rows file."""
    flip(file_of(cache))

    assert sum(batch.num_rows for batch in Cache("scores", tmp_path)._version().batches()) == len(KEYS)


def test_a_layout_that_is_not_known_is_refused(cache: Cache, tmp_path: Path) -> None:
    """A later version of lakeflow may have others."""
    manifest = file_of(cache, "manifest.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "layout": "tiles"}))

    with pytest.raises(UnsupportedError, match="'tiles'"):
        Cache("scores", tmp_path).get(1)


@pytest.mark.parametrize("kept", [slice(1, None), slice(0, 1), slice(0, 0)])
def test_a_file_without_all_buckets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: slice) -> None:
    """Batches that are gone would have keys be looked for in the buckets of others."""
    for module in (file_module, mapped_module):
        monkeypatch.setattr(module, "BATCH_BUCKETS", 2)
    hashes = np.arange(400, dtype=np.uint64) << np.uint64(50)
    rows, path = pa.record_batch({"id": pa.array(range(400))}), tmp_path / NAME
    with path.open("wb") as file:
        file_module.write_rows(file, rows, hashes, Fields(rows.schema))
    whole = mapped_module.MappedRows(str(path), mapping.mapped(path), 0, int(hashes[-1])).buckets()
    assert all(whole.one(each) for each in hashes.tolist())
    with pa.ipc.open_file(path) as source:
        schema, batches = source.schema, [source.get_batch(n) for n in range(source.num_record_batches)]

    with pa.ipc.new_file(path, schema) as target:
        for batch in batches[kept]:
            target.write_batch(batch)

    with pytest.raises(CorruptFileError, match="more or fewer"):
        mapped_module.MappedRows(str(path), mapping.mapped(path), 0, int(hashes[-1])).buckets()
