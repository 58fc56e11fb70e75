"""A foreach run's side of a cache: segments by workers, one version by the driver."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import lakeflow.cache.building.segment as segment_module
from lakeflow.cache import Cache
from lakeflow.runs.outputs.sink import RunLabel
from lakeflow_io.errors import (
    DuplicateKeyError,
    NotFoundError,
    ObjectNotFoundError,
    PlanChangedError,
    SchemaError,
    StoreError,
)

LABEL = RunLabel(run_id="run-1", plan_digest="d1", source="kg.titles@17", shards=3, rows_in=9, seconds=1.0)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache without a version."""
    return Cache("scores", tmp_path)


def stage(cache: Cache, first: int = 0) -> list[dict[str, Any]]:
    """Write three shards of ten rows as three workers do, and pass their facts through JSON."""
    facts = []
    for shard in range(3):
        writer = pickle.loads(pickle.dumps(cache.sink("id").writer()))
        ids = list(range(first + shard * 10, first + shard * 10 + 10))
        facts += writer.write(f"run-1-{shard}-a0", pa.table({"id": ids, "shard": [shard] * 10}))
    return json.loads(json.dumps(facts))  # type: ignore[no-any-return]


def test_staged_shards_become_one_version(cache: Cache, tmp_path: Path) -> None:
    """Nothing is visible until the publish; then all rows are, labelled, and no segment is left."""
    staged = stage(cache)
    before = cache.versions()

    publication = cache.sink("id").publish(LABEL, staged)

    [version] = cache.versions()
    assert before == []
    assert (version.id, "d1", 30) == (publication.id, publication.plan_digest, publication.rows)
    assert (version.run_id, version.source) == ("run-1", "kg.titles@17")
    assert [n // 10 for n in range(30)] == cache.get_many(range(30))["shard"].to_pylist()
    assert list((tmp_path / "scores" / "staging").iterdir()) == []


def test_facts_name_real_files(cache: Cache) -> None:
    """Every fact has the URI of a file whose name begins as asked, and the rows and bytes of it and its index."""
    facts = stage(cache)

    for shard, fact in enumerate(facts):
        path = Path(str(fact["path"]).removeprefix("file://"))
        assert path.name.startswith(f"run-1-{shard}-a0-")
        size = path.stat().st_size + path.with_suffix(".idx").stat().st_size
        assert (10, size) == (fact["rows"], fact["bytes"])


def test_a_rerun_is_a_no_op(cache: Cache, tmp_path: Path) -> None:
    """A run id that was published is found, and publishing it again returns it and drops the segments."""
    sink = cache.sink("id")
    first = sink.publish(LABEL, stage(cache))

    again = sink.publish(LABEL, stage(cache, first=500))

    assert first == again == sink.find("run-1")
    assert sink.find("run-2") is None
    assert len(cache.versions()) == 1
    assert list((tmp_path / "scores" / "staging").iterdir()) == []


def test_a_rerun_whose_segments_are_gone_is_a_no_op(cache: Cache) -> None:
    """A driver that died after the publish finds it, though the segments were deleted."""
    sink = cache.sink("id")
    staged = stage(cache)

    assert sink.publish(LABEL, staged) == sink.publish(LABEL, staged)


def test_another_plan_under_the_run_id_is_refused(cache: Cache) -> None:
    """A run id stands for one plan."""
    sink = cache.sink("id")
    sink.publish(LABEL, stage(cache))

    with pytest.raises(PlanChangedError, match="run-1"):
        sink.publish(RunLabel("run-1", "d2", None, 3, 9, 1.0), stage(cache))


def test_a_publish_that_fails_can_be_tried_again(cache: Cache, tmp_path: Path) -> None:
    """A failed publish keeps the segments and the old version, and leaves no folder."""
    old = cache.load(pa.table({"id": [1]}), key="id")
    staged = stage(cache)
    twice = cache.sink("id").writer().write("run-1-3-a0", pa.table({"id": [5], "shard": [9]}))

    with pytest.raises(DuplicateKeyError, match="5"):
        cache.sink("id").publish(LABEL, [*staged, *twice])
    assert [old] == cache.versions()
    assert len(list((tmp_path / "scores" / "versions").iterdir())) == 1
    assert cache.sink("id").publish(LABEL, staged).rows == 30


def test_a_segment_that_is_gone_is_named(cache: Cache) -> None:
    """A run whose segment was lost isn't published without it."""
    staged = stage(cache)
    cache.sink("id").writer().discard(staged[1:2])

    with pytest.raises(ObjectNotFoundError, match="run-1-1-a0"):
        cache.sink("id").publish(LABEL, staged)
    assert cache.versions() == []


def test_a_run_without_any_segment_is_refused(cache: Cache) -> None:
    """Without a segment there are no columns; with an empty one there is an empty version."""
    sink = cache.sink("id")
    empty = sink.writer().write("run-1-0-a0", pa.table({"id": pa.array([], pa.int64())}))

    with pytest.raises(SchemaError, match="no data"):
        sink.publish(LABEL, [])
    assert sink.publish(LABEL, empty).rows == 0
    assert cache.get(1) is None


def test_discard_deletes_only_segments(cache: Cache, tmp_path: Path) -> None:
    """A discarded file may be gone already, and a fact can't name a file outside the staging folder."""
    outside = tmp_path / "keep.arrow"
    outside.touch()
    staged = stage(cache)
    writer = cache.sink("id").writer()

    writer.discard([*staged, *staged, {"path": outside.as_uri()}])

    assert outside.exists()
    assert list((tmp_path / "scores" / "staging").iterdir()) == []


def test_a_large_shard_becomes_several_segments(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data over the segment size is cut by rows, sorted piece by piece, and read back whole."""
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", 5_000)
    table = pa.table({"id": range(2_000), "text": [str(n) for n in range(2_000)]})

    facts = cache.sink("id").writer().write("run-1-0-a0", table)
    cache.sink("id").publish(LABEL, facts)

    assert len(facts) > 5
    assert sum(fact["rows"] for fact in facts) == 2_000
    assert table["text"].to_pylist() == cache.get_many(range(2_000))["text"].to_pylist()


def test_parts_make_few_segments(cache: Cache) -> None:
    """Rows that come one by one lie in one; a column that has only nulls so far takes the type it has later."""
    writer = cache.sink("id").writer().writer("run-1-0-a0", 1 << 20)

    for number in range(100):
        writer.write(pa.table({"id": [number], "text": [str(number) if number >= 50 else None]}))
    staged = writer.close()
    cache.sink("id").publish(LABEL, staged)

    assert [fact["rows"] for fact in staged] == [50, 50]
    assert [None] * 50 + [str(n) for n in range(50, 100)] == cache.get_many(range(100))["text"].to_pylist()


def test_parts_of_other_columns_are_refused(cache: Cache) -> None:
    """By the worker, before others have done their shards."""
    writer = cache.sink("id").writer().writer("run-1-0-a0", 1 << 20)
    writer.write(pa.table({"id": [1], "text": ["a"]}))

    with pytest.raises(SchemaError, match="text"):
        writer.write(pa.table({"id": [2], "text": [7]}))


def test_a_failed_write_leaves_nothing(cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker whose second segment fails removes the first."""
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", 50)
    writer = cache.sink("id").writer()
    written: list[Any] = []
    save = np.save

    def failing(file: Any, hashes: Any) -> None:
        written.append(hashes)
        if len(written) == 2:
            raise OSError(5, "Input/output error")
        save(file, hashes)

    monkeypatch.setattr("lakeflow.cache.files.index.np.save", failing)

    with pytest.raises(StoreError, match="Input/output error"):
        writer.write("run-1-0-a0", pa.table({"id": range(20)}))
    assert list((tmp_path / "scores" / "staging").iterdir()) == []


def test_the_sink_describes_its_place(cache: Cache, tmp_path: Path) -> None:
    """The run's state goes beside the cache, and the plan names cache, root and key."""
    sink = cache.sink("id")

    assert (tmp_path / "scores").as_uri() == sink.location
    assert sink.store_properties == {}
    assert {"cache": "scores", "root": str(tmp_path), "key": "id"} == sink.describe()


def test_a_run_can_update(cache: Cache, tmp_path: Path) -> None:
    """Its rows take the place of those with their keys, or come; the others stay. A rerun is a no-op."""
    cache.load(pa.table({"shard": [9.0] * 3, "id": pa.array([0, 29, 99], pa.int32())}), key="id")
    sink, staged = cache.sink("id", update=True), stage(cache)

    publication = sink.publish(LABEL, staged)

    assert (publication.rows, len(cache)) == (31, 31)
    assert cache.get_many([0, 11, 29, 99])["shard"].to_pylist() == [0, 1, 2, 9]
    assert cache.get(99) == {"shard": 9.0, "id": 99}
    assert publication == sink.publish(LABEL, staged) == sink.find("run-1")
    assert list((tmp_path / "scores" / "staging").iterdir()) == []
    assert len(cache.versions()) == 2


def test_an_update_that_fails_can_be_tried_again(cache: Cache) -> None:
    """Its segments stay, and so does the old version; a segment that was lost is named."""
    old = cache.load(pa.table({"id": [1], "shard": [9]}), key="id")
    sink, staged = cache.sink("id", update=True), stage(cache)
    other = sink.writer().write("run-1-3-a0", pa.table({"id": [500], "other": [9]}))

    with pytest.raises(SchemaError, match="'other'"):
        sink.publish(LABEL, [*staged, *other])
    with pytest.raises(ObjectNotFoundError, match="gone"):
        sink.publish(LABEL, [*staged, {**staged[0], "path": "file:///gone"}])
    assert [old] == cache.versions()
    assert sink.publish(LABEL, staged).rows == 30


def test_an_update_needs_a_version_with_its_key(cache: Cache) -> None:
    """Said before anything is computed; what it does is part of the run's plan."""
    with pytest.raises(NotFoundError):
        cache.sink("id", update=True)
    cache.load(pa.table({"id": [1], "shard": [9]}), key="id")

    with pytest.raises(SchemaError, match="the key shard"):
        cache.sink("shard", update=True)
    assert cache.sink("id", update=True).describe() == {**cache.sink("id").describe(), "update": True}
