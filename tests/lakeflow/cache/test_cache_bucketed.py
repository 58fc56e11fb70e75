"""A version whose shards are told apart by buckets of the key answers as one whose shards aren't."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lakeflow as lf
import lakeflow.cache.building.build as build_module
import lakeflow.cache.reading.version as version_module
from lakeflow.cache import Cache
from lakeflow.cache.files.layout import LAYOUTS, Layout
from lakeflow.cache.pushed.chunks import chunks
from lakeflow.cache.rows.fields import Fields
from lakeflow.cache.valkey.source import Source
from lakeflow.runs.outputs.sink import RunLabel
from lakeflow_io.errors import DuplicateKeyError, UnsupportedError
from lakeflow_io.keyed.buckets import bucket_of

if TYPE_CHECKING:
    from pathlib import Path

    from lakeflow.cache.building.segment import CacheWriter

LABEL = RunLabel(run_id="run-1", plan_digest="d1", source=None, shards=1, rows_in=9, seconds=1.0)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=12)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of ten rows, so that some rows make groups worth while."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 10)


@pytest.fixture(params=["folder", "store"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Cache:
    """Return a cache without a version."""
    root = str(tmp_path) if request.param == "folder" else f"memory://{uuid4().hex}/caches"
    return Cache("scores", root, refresh=0, storage={"lakeflow.shard-cache.folder": str(tmp_path / "copies")})


def rows(keys: Any, step: int = 1) -> pa.Table:
    """Return rows with values by which they can be told."""
    kind = pa.int64() if all(isinstance(key, int) for key in keys) else pa.string()
    return pa.table({"id": pa.array(keys, kind), "value": [f"{key!r} of {step}" for key in keys]})


def written(writer: CacheWriter, keys: list[Any], buckets: int, parts: int = 1, step: int = 1) -> list[dict[str, Any]]:
    """Write keys as tasks do that get whole buckets, each in so many segments; facts go through JSON."""
    facts: list[dict[str, Any]] = []
    for bucket in range(buckets):
        inside = [key for key in keys if bucket_of(key, buckets) == bucket]
        for part in range(parts):
            if some := inside[part::parts]:
                facts += writer.write(f"run-1-item-{bucket:05d}-a{part}", rows(some, step))
    return json.loads(json.dumps(facts))


def published(cache: Cache, keys: list[Any], buckets: int, parts: int = 1, step: int = 1) -> None:
    """Publish keys by buckets."""
    sink = replace(cache.sink("id"), buckets=buckets)
    sink.publish(replace(LABEL, run_id=uuid4().hex), written(sink.writer(), keys, buckets, parts, step))


def buckets_of(cache: Cache) -> int | None:
    """Return by how many buckets the current version is told apart, having read all of its files."""
    cache.verify()
    manifest = cache._version().manifest
    assert all((shard.bucket is None) == (manifest.buckets is None) for shard in manifest.shards)
    return manifest.buckets


def test_whole_buckets_are_not_merged(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a shard of its own, as its task wrote it, and every key is found."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 20)
    sink = replace(cache.sink("id"), buckets=16)
    staged = written(sink.writer(), list(range(100)), 16)

    sink.publish(LABEL, staged)

    assert buckets_of(cache) == 16
    shards = cache._version().manifest.shards
    assert sorted(shard.payload.crc32 for shard in shards) == sorted(f["shard"]["payload"]["crc32"] for f in staged)
    assert cache.get_many(range(120))["found"].to_pylist() == [True] * 100 + [False] * 20
    assert cache.get_many(range(100)).drop(["found"]).equals(rows(range(100)))
    assert all(cache.get(key) == {"id": key, "value": f"{key} of 1"} for key in range(100))
    assert [cache.get(key) for key in (-1, 100)] == [None, None]


def test_buckets_in_several_segments_are_merged_each_by_itself(cache: Cache) -> None:
    """Tasks that share a bucket cost its merge, and no other's."""
    published(cache, list(range(300)), 4, parts=3)

    assert buckets_of(cache) == 4
    assert cache.get_many(range(300)).drop(["found"]).equals(rows(range(300)))
    assert max(shard.rows for shard in cache._version().manifest.shards) <= 10


@pytest.mark.parametrize("mixed", [False, True], ids=["a bucket too few", "a segment of several"])
def test_what_is_not_in_whole_buckets_is_merged(cache: Cache, *, mixed: bool) -> None:
    """One segment with keys of several buckets, or with no word of one, is enough."""
    sink = replace(cache.sink("id"), buckets=4)
    staged = written(sink.writer(), list(range(80)), 4)
    other = sink.writer() if mixed else cache.sink("id").writer()
    staged += other.write("run-1-item-00009-a0", rows(range(80, 99)))

    sink.publish(LABEL, staged)

    assert buckets_of(cache) is None
    assert cache.get_many(range(99)).drop(["found"]).equals(rows(range(99)))


@pytest.mark.parametrize(
    "lie",
    [
        {"buckets": 1 << 40},
        {"buckets": 0},
        {"buckets": -4},
        {"buckets": 5},
        {"shard": {"bucket": 0}},
        {"shard": {"bucket": 99}},
    ],
    ids=str,
)
def test_facts_about_buckets_are_not_believed(cache: Cache, lie: dict[str, Any]) -> None:
    """What a marker says wrongly costs a merge, or nothing: every key is found."""
    sink = replace(cache.sink("id"), buckets=4)
    staged = written(sink.writer(), list(range(80)), 4)
    for fact in staged:
        fact |= {**lie, "shard": {**fact["shard"], **lie.get("shard", {})}}

    sink.publish(LABEL, staged)

    buckets_of(cache)
    assert cache.get_many(range(80)).drop(["found"]).equals(rows(range(80)))


def test_a_small_cache_has_no_buckets(cache: Cache) -> None:
    """Where all rows fit in one shard a merge is cheap, and one file is opened faster than sixteen."""
    published(cache, list(range(10)), 16)

    assert buckets_of(cache) is None


def test_many_small_buckets_are_merged(cache: Cache) -> None:
    """A version of very many files would take long to open."""
    published(cache, list(range(100)), 97)

    assert buckets_of(cache) is None


def test_a_key_that_is_there_twice_is_refused(cache: Cache) -> None:
    """Equal keys have one bucket, so they meet."""
    sink = replace(cache.sink("id"), buckets=4)
    staged = written(sink.writer(), list(range(80)), 4)

    with pytest.raises(DuplicateKeyError, match=r"key 7\b"):
        sink.publish(LABEL, [*staged, *sink.writer().write("run-1-item-00009-a0", rows([7]))])


def test_who_knows_no_buckets_refuses_the_version(tmp_path: Path) -> None:
    """An older reader would find no key, and say that there is none."""
    cache = Cache("scores", tmp_path)
    published(cache, list(range(80)), 4)
    path = tmp_path / "scores" / "versions" / cache.version.id / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in content.items() if name != "buckets"}))

    with pytest.raises(UnsupportedError, match="iceberg-buckets"):
        Cache("scores", tmp_path).get(1)


def both(folder: str, keys: list[Any], buckets: int, layout: Layout, parts: int = 1) -> tuple[Cache, Cache]:
    """Return a cache by buckets, in a layout, and one of columns without buckets, of the same rows."""
    by_bucket, plain = Cache("buckets", folder, keep=9, layout=layout), Cache("plain", folder, keep=9)
    published(by_bucket, keys, buckets, parts)
    plain.load(rows(keys), key="id")
    return by_bucket, plain


def many(keys: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Lists that are worth groups, and some more keys."""
    return st.lists(keys, unique=True, min_size=11, max_size=60)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("kind", [INTEGERS, TEXTS], ids=["integers", "texts"])
@settings(max_examples=15)
@given(data=st.data(), buckets=st.integers(1, 9), parts=st.integers(1, 3), layout=st.sampled_from(LAYOUTS))
def test_look_ups_are_those_without_buckets(
    kind: Any, data: st.DataObject, buckets: int, parts: int, layout: Layout, *, compiled: bool
) -> None:
    """One by one, and many at once, keys that are there and keys that aren't; in either layout."""
    keys, others = data.draw(many(kind)), data.draw(st.lists(kind, max_size=20))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(version_module.Finder, "of", lambda *_: None)
        by_bucket, plain = both(folder, keys, buckets, layout, parts)

        assert buckets_of(by_bucket) in (None, buckets)
        asked = [*keys, *others]
        assert by_bucket.get_many(asked).equals(plain.get_many(asked))
        assert [by_bucket.get(key) for key in asked] == [plain.get(key) for key in asked]
        assert [key in by_bucket for key in others] == [key in plain for key in others]


@pytest.mark.parametrize("kind", [INTEGERS, TEXTS], ids=["integers", "texts"])
@settings(max_examples=15)
@given(data=st.data(), buckets=st.integers(1, 9), layout=st.sampled_from(LAYOUTS))
def test_updates_and_diffs_are_those_without_buckets(
    kind: Any, data: st.DataObject, buckets: int, layout: Layout
) -> None:
    """Rows that come, change and go; between versions with buckets, and with others; in either layout."""
    keys = data.draw(many(kind))
    changed = data.draw(st.lists(st.one_of(kind, st.sampled_from(keys)), unique=True, max_size=20))
    deleted = data.draw(st.lists(st.one_of(kind, st.sampled_from(keys)), unique=True, max_size=20))
    with tempfile.TemporaryDirectory() as folder:
        by_bucket, plain = both(folder, keys, buckets, layout)
        first = by_bucket.version.id

        before = by_bucket._version().manifest.buckets
        for each in (by_bucket, plain):
            each.update(rows(changed, 2) if changed else None, delete=deleted)

        assert buckets_of(by_bucket) == before
        assert len(by_bucket) == len(plain)
        asked = [*keys, *changed, *deleted]
        assert by_bucket.get_many(asked).equals(plain.get_many(asked))
        assert changes(by_bucket, first) == changes(plain, plain.versions()[0].id)
        by_bucket.load(rows(keys), key="id")
        assert changes(by_bucket, first) == {}


def changes(cache: Cache, old: str) -> dict[Any, str]:
    """Return what became of each key since a version."""
    found = cache.diff(old).read_all()
    kinds = dict(zip(found["id"].to_pylist(), found["_change_type"].to_pylist(), strict=True))
    assert len(kinds) == found.num_rows
    return kinds


def test_an_update_reuses_the_shards_of_other_buckets(tmp_path: Path) -> None:
    """A change of one key writes one shard anew; a bucket that had no row gets one."""
    cache = Cache("scores", tmp_path)
    keys = [key for key in range(400) if bucket_of(key, 8) != 3]
    published(cache, keys, 8)
    new = next(key for key in range(400, 999) if bucket_of(key, 8) == 3)
    before = len(cache._version().shards)

    cache.update(rows([keys[0], new], 2))

    shards = cache._version().manifest.shards
    assert len(shards) == before + 1
    assert sum(shard.owner == cache.version.id for shard in shards) == 2
    assert [shard.bucket for shard in shards] == sorted(shard.bucket or 0 for shard in shards)
    assert (cache.get(new), cache.get(keys[0])) == tuple({"id": key, "value": f"{key} of 2"} for key in (new, keys[0]))


def test_pushes_carry_the_same_rows(tmp_path: Path) -> None:
    """Valkey's buckets are ranges of hashes, so groups are merged on the way; DynamoDB takes rows in any order."""
    by_bucket, plain = both(str(tmp_path), list(range(500)), 7, "columns")
    fields = Fields(plain.schema)

    sources = [Source(cache._version(), fields, 20) for cache in (by_bucket, plain)]

    packed = [source.packed(3, 17) for source in sources]
    assert packed[0] is not None
    assert packed[1] is not None
    assert [packed[0].values.equals(packed[1].values), packed[0].numbers.tolist()] == [True, packed[1].numbers.tolist()]
    steps = [list(source.steps(0)) for source in sources]
    assert [end for end, _ in steps[0]] == [end for end, _ in steps[1]]
    sent = pa.concat_tables(chunks(by_bucket._version(), 0, 64, 1 << 20))
    assert sorted(sent["id"].to_pylist()) == list(range(500))


def test_a_table_that_is_bucketed_by_the_key_skips_the_merge(lake: lf.Lake, namespace: str, tmp_path: Path) -> None:
    """From the partition spec of the table to the shards of the version; with other keys nothing changes."""
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), ("value", pa.string())])
    table = lake.create_table(f"{namespace}.scores", schema, partition_by=["bucket(4, id)"])
    table.append(rows(range(200)).cast(schema))
    cache, other = Cache("scores", tmp_path), Cache("other", tmp_path)

    lf.precompute(table.scan().shards(by="partition"), same, cache=cache, key="id", progress=False)
    lf.precompute(table.scan().shards(by="partition"), same, cache=other, key="value", progress=False)

    assert (buckets_of(cache), buckets_of(other)) == (4, None)
    assert cache.get_many(range(200)).drop(["found"]).equals(rows(range(200)))
    assert other.get("7 of 1") == {"id": 7, "value": "7 of 1"}


def same(table: pa.Table) -> pa.Table:
    """A task."""
    return table
