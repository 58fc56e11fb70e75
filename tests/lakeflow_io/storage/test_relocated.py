"""Objects asked for by the paths that they had."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.immutable import ImmutableCache
from lakeflow_io.storage.relocated import RELOCATE, Relocation

WHERE = Relocation(
    (("hdfs://old/lake", "memory://new/lake/"), ("hdfs://old/lake/t/data/", "memory://data")), "memory://new/t"
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hdfs://old/lake/t/metadata/a", "memory://new/lake/t/metadata/a"),
        ("hdfs://old/lake", "memory://new/lake"),
        ("hdfs://old/lake/t/data/a", "memory://data/a"),
        ("hdfs://old/lakes/a", "hdfs://old/lakes/a"),
        ("hdfs://old/lake/t/database", "memory://new/lake/t/database"),
        ("data/a.parquet", "memory://new/t/data/a.parquet"),
        ("./data/a.parquet", "memory://new/t/data/a.parquet"),
        ("/absolute/a", "/absolute/a"),
        ("s3://other/a", "s3://other/a"),
    ],
)
def test_the_longest_prefix_that_ends_at_a_slash_is_taken(path: str, expected: str) -> None:
    """Relative paths start in the base; all others stay."""
    assert expected == WHERE(path)


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_a_relocation_travels_as_a_property(old: str, new: str, base: str) -> None:
    """Any texts come back from the property as they were."""
    where = Relocation(((old, new),), base)

    assert where == Relocation.of(where.property)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"prefixes": 3, "base": ""}', '{"prefixes": [["a"]], "base": ""}'])
def test_a_garbled_property_is_an_error_of_ours(text: str) -> None:
    """Nothing is opened."""
    with pytest.raises(ConfigError, match="relocate"):
        open_transport({RELOCATE: text})


def test_every_verb_goes_to_the_new_place() -> None:
    """Written under the old path, an object is found under the new one, and the other way round."""
    moved, plain = open_transport(WHERE.property), open_transport({})
    old, new = "hdfs://old/lake/verbs/a", "memory://new/lake/verbs/a"

    moved.put(old, b"0123")
    assert (bytes(plain.get(new)), bytes(moved.get_range(old, 1, 2))) == (b"0123", b"12")
    assert bytes(asyncio.run(moved.get_range_async(old, 2, 2))) == b"23"
    tail, size = asyncio.run(moved.get_suffix_async(old, 1))
    assert (bytes(tail), size) == (b"3", 4)
    assert (moved.put_if_absent(old, b"x"), moved.put_if_absent(old + "b", b"x")) == (False, True)
    with moved.open_output(old + "c") as out:
        out.write(b"yz")
    assert {new, new + "b", new + "c"} == {info.uri for info in moved.list("hdfs://old/lake/verbs")}
    moved.delete(old)
    assert {new + "b", new + "c"} == {info.uri for info in plain.list("memory://new/lake/verbs")}


def test_what_is_remembered_is_remembered_of_the_object_itself(tmp_path: object) -> None:
    """Two tables with the same relative paths don't share footers; one table by two names does."""
    folder = {"lakeflow.metadata-cache.folder": str(tmp_path)}
    caches = [
        ImmutableCache("footer", {**folder, **Relocation((), base).property})
        for base in ("s3://one/t", "s3://two/t", "s3://one/t")
    ]
    caches[0].keep("data/a.parquet", 10, b"one")

    found = [cache.find([("data/a.parquet", 10)]) for cache in caches]

    assert found == [[b"one"], [None], [b"one"]]
    assert ImmutableCache("footer", folder).find([("s3://one/t/data/a.parquet", 10)]) == [b"one"]
    near = ImmutableCache("footer", {**folder, **Relocation((), "file:///t").property})
    near.keep("data/a.parquet", 10, b"near")
    assert near.find([("data/a.parquet", 10)]) == [None]
