"""Rows that are joined with a table by key: upsert and merge."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lakeflow_io.errors import DuplicateKeyError, InputError, NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf


def test_rows_take_the_place_of_those_with_their_key(changed: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Of any layout: known keys are replaced, also where that moves them to another partition; new ones come."""
    new = [make_row(number, kind="c", n=-1) for number in (0, 5, 6, 19, 29, 30, 77)]

    made = changed.table.upsert(pa.Table.from_pylist(new, changed.table.schema), key="id")

    keys = {each["id"] for each in new}
    changed.keep(lambda each: each["id"] not in keys, *new)
    changed.check()
    assert (made.operation, made.summary["lakeflow.matched-rows"]) == ("overwrite", "5")


@pytest.mark.parametrize("key", [["kind", "n"], ["n", "kind", "id"], ["at"]])
def test_keys_of_several_columns(changed: Any, make_row: Callable[..., dict[str, Any]], key: list[str]) -> None:
    """All columns have to be equal; null is equal to nothing, on either side."""
    new = [make_row(3, x=-1.0), make_row(5, x=-1.0), make_row(6, x=-1.0), make_row(31, x=-1.0)]

    changed.table.upsert(new, key=key)

    keys = {tuple(each[name] for name in key) for each in new}
    keys = {each for each in keys if None not in each}
    changed.keep(lambda each: tuple(each[name] for name in key) not in keys, *new)
    changed.check()


def test_files_that_cannot_hold_a_key_are_left_alone(small: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """By bounds, and between them: the keys lie on both sides of the second file's."""
    before = small.live

    small.table.upsert([make_row(3, n=-1), make_row(100), make_row(-100)], key="id")

    assert len(before & small.live) == 1


def test_files_of_partitions_without_a_key_are_not_opened(
    make_table: Any, make_row: Callable[..., dict[str, Any]]
) -> None:
    """Buckets that no key falls in are told by the transform alone."""
    changed = make_table("bucket", **{"write.metadata.metrics.default": "none"})
    changed.append([make_row(number) for number in range(30)])
    before = changed.live

    changed.table.upsert([make_row(3, n=-1)], key="id")

    changed.keep(lambda each: each["id"] != 3, make_row(3, n=-1))
    changed.check()
    assert len(before) == 3
    assert len(before & changed.live) == 2


def test_no_rows_change_nothing(small: Any) -> None:
    """An empty source makes no snapshot."""
    before = small.table.snapshot

    assert before == small.table.upsert(small.table.schema.empty_table(), key="id") == small.table.refresh().snapshot


def test_into_an_empty_table(make_table: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """It is an append."""
    changed = make_table("identity")

    made = changed.table.upsert([make_row(1), make_row(2)], key="id")

    changed.keep(lambda _: True, make_row(1), make_row(2))
    changed.check()
    assert made.operation == "append"


def test_rows_with_one_key_in_the_table_become_one(small: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """An upsert leaves one row of each key, a merge updates all that are there."""
    small.append([make_row(3, n=7)])

    small.table.merge([{"id": 3, "x": 9.5}], key="id")
    small.rows = [{**each, "x": 9.5} if each["id"] == 3 else each for each in small.rows]
    small.check()
    small.table.upsert([make_row(3, n=8)], key="id")

    small.keep(lambda each: each["id"] != 3, make_row(3, n=8))
    small.check()


def test_a_source_of_duplicate_keys_is_refused(small: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """The first few are named, and nothing is written."""
    before = small.files
    new = [make_row(number, n=0) for number in (1, 2, 3, 4, 5, 1, 2, 3, 4)]

    with pytest.raises(DuplicateKeyError, match=r"4 keys .*id=1, n=0; id=2, n=0; id=3, n=0 and 1 more") as caught:
        small.table.upsert(new, key=["id", "n"])

    assert isinstance(caught.value, InputError)
    small.check()
    assert before == small.files


def test_null_keys_are_no_duplicates(small: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Each is added."""
    new = [make_row(6, kind=None), make_row(7, kind=None)]

    small.table.upsert(new, key="kind")

    small.keep(lambda _: True, *new)
    small.check()


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ([], InputError, "names no columns"),
        ([1], InputError, "names no columns"),
        ("nothing", NotFoundError, "nothing"),
        ("x", InputError, "double"),
    ],
)
def test_wrong_keys_are_told(
    small: Any, make_row: Callable[..., dict[str, Any]], key: Any, error: type[Exception], said: str
) -> None:
    """Before anything is read."""
    with pytest.raises(error, match=said):
        small.table.upsert([make_row(1)], key=key)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"id": ["one"], "kind": ["a"], "at": [None], "x": [1.0], "n": [1]}, "'id' is string, not int64"),
        ({"id": [1], "kind": ["a"], "at": [None], "x": [1.0]}, "lacks column 'n'"),
        ({"kind": ["a"], "at": [None], "x": [1.0], "n": [1]}, "lacks column 'id'"),
        ({"id": [1], "kind": ["a"], "at": [None], "x": [1.0], "n": [2**40]}, "'n'"),
        ({"id": [1], "kind": ["a"], "at": [None], "x": [1.0], "n": [1], "more": [1]}, "unknown column 'more'"),
    ],
)
def test_rows_that_do_not_fit_change_nothing(small: Any, new: dict[str, Any], said: str) -> None:
    """What is wrong is told, and no file is left."""
    before = small.files

    with pytest.raises(SchemaError, match=said):
        small.table.upsert(new, key="id")

    small.check()
    assert before == small.files


def test_a_decimal_that_overflows_is_refused(embedded: lf.Lake, namespace: str) -> None:
    """Neither cut nor rounded, by any verb."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64()), ("d", pa.decimal128(5, 2))]))
    table.append({"id": [1], "d": [Decimal("1.50")]})

    for verb in (table.append, table.overwrite, lambda data: table.upsert(data, key="id")):
        for wrong in (Decimal("1234.50"), Decimal("1.505")):
            with pytest.raises(SchemaError, match="'d'"):
                verb({"id": [1], "d": [wrong]})

    assert table.refresh().scan().read().to_pylist() == [{"id": 1, "d": Decimal("1.50")}]
    assert len(table.snapshots()) == 1


def test_matched_rows_are_updated_in_some_columns(changed: Any) -> None:
    """Columns that the source hasn't keep their values; inserted rows have null in them."""
    changed.table.merge({"id": [3, 8, 100], "kind": ["b", None, "a"]}, key="id")

    kinds = {3: "b", 8: None}
    changed.rows = [{**each, "kind": kinds.get(each["id"], each["kind"])} for each in changed.rows]
    changed.keep(lambda _: True, {"id": 100, "kind": "a", "at": None, "x": None, "n": None})
    changed.check()


def test_keys_alone_update_nothing(small: Any) -> None:
    """Rows that are there stay as they are, in their files; others may come."""
    before = small.table.snapshot

    assert small.table.merge([{"id": 3}, {"id": 900}], key="id", not_matched="ignore") == before

    small.table.merge([{"id": 3}, {"id": 900}], key="id")
    small.keep(lambda _: True, dict.fromkeys(small.table.schema.names) | {"id": 900})
    small.check()
    assert small.table.snapshot.operation == "append"


def test_matched_rows_go(changed: Any) -> None:
    """A list of keys is enough; others are ignored."""
    changed.table.merge({"id": [3, 8, 100]}, key="id", matched="delete", not_matched="ignore")

    changed.keep(lambda each: each["id"] not in {3, 8})
    changed.check()


def test_only_new_rows_come(changed: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """Rows whose key is there stay as they are: an insert that is safe to repeat."""
    for _ in range(2):
        changed.table.merge([make_row(3, n=-1), make_row(44)], key="id", matched="keep")

    changed.keep(lambda _: True, make_row(44))
    changed.check()


def test_rows_that_the_source_lacks_go(changed: Any, make_row: Callable[..., dict[str, Any]]) -> None:
    """The table becomes what the source is, for the columns that it has."""
    changed.table.merge([make_row(3, n=-1), make_row(8, n=-1), make_row(100)], key="id", not_matched_by_source="delete")

    changed.keep(lambda _: False, make_row(3, n=-1), make_row(8, n=-1), make_row(100))
    changed.check()


@pytest.mark.parametrize("clause", ["matched", "not_matched", "not_matched_by_source"])
def test_a_wrong_clause_is_told(small: Any, clause: str) -> None:
    """With what it can be."""
    with pytest.raises(InputError, match="it is "):
        small.table.merge({"id": [1]}, key="id", **{clause: "vanish"})


def test_a_required_column_is_needed_to_insert(embedded: lf.Lake, namespace: str) -> None:
    """Not to update."""
    required = [pa.field(name, pa.int64(), nullable=False) for name in ("id", "v")]
    schema = pa.schema([*required, ("w", pa.int64())])
    table = embedded.create_table(f"{namespace}.t", schema)
    table.append(pa.table({"id": [1], "v": [2], "w": [3]}, schema=schema))

    with pytest.raises(SchemaError, match="lacks column 'v'"):
        table.merge({"id": [1], "w": [4]}, key="id")
    table.merge({"id": [1], "w": [4]}, key="id", not_matched="ignore")

    assert table.scan().read().to_pylist() == [{"id": 1, "v": 2, "w": 4}]


def test_a_source_larger_than_memory_is_set_aside(
    make_table: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is joined from a temporary file, which is gone afterwards."""
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    changed = make_table("plain")
    ids = np.arange(100_000)
    table = pa.table({"id": ids, "kind": ["a"] * len(ids), "n": pa.array(ids % 7, pa.int32())})
    changed.table.append(table)
    seen: list[int] = []

    def batches() -> Any:
        for start in range(50_000, 150_000, 10_000):
            part = np.arange(start, start + 10_000)
            yield pa.record_batch({"id": part, "kind": ["b"] * len(part), "n": pa.array(part * 0, pa.int32())})
            seen.append(len([path for path in tmp_path.iterdir() if path.suffix == ".arrow"]))

    source = pa.RecordBatchReader.from_batches(table.schema, batches())
    changed.table.merge(source, key="id", memory="1 MiB")

    found = changed.table.scan().read().to_arrow().sort_by("id")
    assert np.array_equal(found["id"].to_numpy(), np.arange(150_000))
    assert found["kind"].to_pylist() == ["a"] * 50_000 + ["b"] * 100_000
    assert max(seen) == 1
    assert [path for path in tmp_path.iterdir() if path.suffix == ".arrow"] == []
