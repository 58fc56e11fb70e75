"""Which deletes apply to which data files, by the specification's rules alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.iceberg.deletes.families import families_of
from lakeflow_io.iceberg.deletes.file import DeleteFile
from lakeflow_io.iceberg.deletes.index import DeleteIndex
from lakeflow_io.iceberg.deletes.paths import between, same_object
from lakeflow_io.iceberg.plan import Piece


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://b/t/f", "s3a://b/t/f"),
        ("s3://b/t/f", "s3n://b//t///f"),
        ("gs://b/t/f", "gcs://b/t/f"),
        ("/data/t/f", "file:///data/t/f"),
        ("/data/t/f", "file:/data//t/f"),
        ("abfss://c@a.dfs.core.windows.net/t/f", "wasbs://c@a.blob.core.windows.net/t/f"),
        ("hdfs://name:8020/t/f", "hdfs://name:8020//t/f"),
    ],
)
def test_spellings_of_one_object(one: str, other: str) -> None:
    """Schemes with one meaning and repeated slashes don't tell objects apart."""
    assert same_object(one) == same_object(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://b/t/f", "s3://c/t/f"),
        ("s3://b/t/f", "gs://b/t/f"),
        ("s3://b/t/f", "s3://b/t/F"),
        ("s3://b/t/f%20", "s3://b/t/f "),
        ("abfss://c@a.dfs.core.windows.net/f", "abfss://c@b.dfs.core.windows.net/f"),
    ],
)
def test_different_objects_stay_different(one: str, other: str) -> None:
    """Neither case, escapes, buckets nor stores are one another's."""
    assert same_object(one) != same_object(other)


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", "0", "é", "%2F"]), min_size=1, max_size=4)


@st.composite
def spelled(draw: st.DrawFn, segments: list[str]) -> str:
    """A way to write a path."""
    slashes = [draw(st.sampled_from(["/", "/", "/", "//"])) for _ in segments]
    key = "".join(slash + each for slash, each in zip(slashes, segments, strict=True))
    return draw(st.sampled_from(["s3://b", "s3a://b"])) + key


@given(st.lists(SEGMENTS, min_size=1, max_size=5), st.data())
def test_bounds_never_leave_out_a_path_that_is_there(paths: list[list[str]], data: Any) -> None:
    """However the paths in a delete file are spelled, and wherever a writer cut the lower bound."""
    names = [data.draw(spelled(each)) for each in paths]
    low, high = min(each.encode() for each in names), max(each.encode() for each in names)
    cut = data.draw(st.integers(1, 20))
    if data.draw(st.booleans()) and len(low) > cut:
        low = low[:cut]

    assert all(between(same_object(each), low, high) for each in names)


def test_bounds_leave_out_other_files() -> None:
    """A file of another folder, or behind the last one, isn't looked for."""
    low, high = b"s3://b/t/p=1/00001-a.parquet", b"s3a://b/t/p=1/00003-a.parquet"

    assert between(same_object("s3://b/t/p=1/00002-x.parquet"), low, high.replace(b"s3a", b"s3"))
    assert not between(same_object("s3://b/t/p=1/00007-x.parquet"), low, high.replace(b"s3a", b"s3"))
    assert not between(same_object("s3://b/t/p=2/00002-x.parquet"), low, high.replace(b"s3a", b"s3"))
    assert between(same_object("s3://b/t/p=2/00002-x.parquet"), low, high)  # two schemes: nothing is sure


def delete(kind: Any, name: str, sequence: int, ids: tuple[int, ...] = ()) -> DeleteFile:
    """A delete file by name."""
    form = "PUFFIN" if kind == "vector" else "PARQUET"
    return DeleteFile(kind, name, 9, sequence, 1, form, 0, 1 if kind == "vector" else 0, ids)


def test_sequence_numbers_decide() -> None:
    """Positions and vectors reach files of their own number, equality deletes only older ones."""
    index = DeleteIndex({1}, "t")
    for kind in ("position", "equality"):
        index.add(delete(kind, kind, 5, (1,)), 0, ["a"])
    index.add(delete("equality", "everywhere", 5, (1,)), 1, [])
    index.add(delete("vector", "vector", 5), 0, ["a"], "s3://b/v")

    def found(path: str, sequence: int, spec: int = 0, partition: Any = ("a",)) -> list[str]:
        return [each.path for each in index.for_file(path, spec, partition, sequence)]

    assert found("s3://b/f", 4) == ["equality", "everywhere", "position"]
    assert found("s3://b/f", 5) == ["position"]
    assert found("s3://b/f", 6) == []
    assert found("s3://b/f", 4, 0, ["b"]) == ["everywhere"]
    assert found("s3://b/f", 4, 1, []) == ["everywhere"]
    assert found("s3a://b/v", 5) == ["vector"]
    assert found("s3a://b/v", 4) == ["equality", "everywhere", "vector"]
    assert found("s3a://b/v", 6) == []


def test_partition_values_are_compared_as_java_does() -> None:
    """NaN is one partition, 0.0 and -0.0 are two, null is one of its own."""
    index = DeleteIndex((), "t")
    for number, value in enumerate([math.nan, 0.0, -0.0, None]):
        index.add(delete("equality", str(number), 2, (1,)), 0, [value])

    found = [[each.path for each in index.for_file("f", 0, [value], 1)] for value in (-math.nan, 0.0, -0.0, None, 1.0)]

    assert found == [["0"], ["1"], ["2"], ["3"], []]


def test_bounds_that_agree_name_the_data_file() -> None:
    """Such a delete file is found by its path, whatever other spec or partition it is filed under."""
    index = DeleteIndex((), "t")
    index.add(delete("position", "d", 3), 7, ["x"], None, (b"s3://b/f", b"s3://b/f"))

    assert [each.path for each in index.for_file("s3a://b//f", 0, [], 1)] == ["d"]
    assert index.for_file("s3://b/g", 7, ["x"], 1) == ()


def piece(name: str, *deletes: DeleteFile) -> Piece:
    """A data file with deletes."""
    return Piece(name, 1, 0, 1, 1, "", "", deletes=deletes)


def test_families_are_the_longest_suffixes() -> None:
    """Of files whose deletes end alike, each gets all of the longest such row, and from where on they apply to it."""
    a1, b1, g2, g3 = (delete("equality", name, int(name[1]), (1,)) for name in ("a1", "b1", "g2", "g3"))
    tied = delete("equality", "g4", 2, (1,))
    other = delete("equality", "o2", 2, (2,))

    found = families_of([piece("f", a1, g2, g3), piece("g", g3), piece("h", b1, g2, g3), piece("i", g2, other)])

    def names(*deletes: DeleteFile) -> list[tuple[list[str], int]]:
        return [([each.path for each in family], least) for _, family, least in found[deletes]]

    assert names(a1, g2, g3) == [(["a1", "g2", "g3"], 1)]
    assert names(g3) == [(["a1", "g2", "g3"], 3)]
    assert names(b1, g2, g3) == [(["b1", "g2", "g3"], 1)]
    assert names(g2, other) == [(["g2"], 2), (["o2"], 2)]

    cut = families_of([piece("f", g2, tied), piece("g", tied)])
    assert [family for _, family, _ in cut[(tied,)]] == [(tied,)]  # a deeper cut would be by g2 as well
