"""Tables of every format version and layout that is accepted can be written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow_io.errors import InputError, LakeflowError, SchemaError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = {"format-version": "1"}
PAIR = pa.struct([("a", pa.int64()), ("b", pa.string())])
NESTED = pa.schema([("id", pa.int64()), ("pair", PAIR), ("many", pa.list_(pa.int64())),
                    ("map", pa.map_(pa.string(), pa.int64()))])  # fmt: skip
UUIDS = [UUID(int=3), UUID(int=2**127), None, UUID(int=1), UUID(int=3)]


def ids(rows: Any) -> list[int]:
    """The ids of a table, sorted."""
    return sorted(rows["id"].to_pylist())


@pytest.mark.parametrize("layout", [{}, {"partition_by": ["text"]}, {"partition_by": ["bucket(2, id)", "void(text)"]},
                                    {"sort_by": ["id desc"]}])  # fmt: skip
def test_a_table_of_format_1_is_appended_to(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], layout: dict[str, Any]
) -> None:
    """By us and by pyiceberg in turn; both read all of it, and a filter finds its row."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema, properties=FIRST, **layout)

    table.append(numbers(5))
    table.iceberg.append(numbers(5, 5))
    table.refresh().append(numbers(5, 10))

    assert table.iceberg.format_version == 1
    assert list(range(15)) == ids(table.scan().read().to_arrow())
    assert list(range(15)) == ids(table.iceberg.scan().to_arrow())
    assert table.scan(where="text = 'row 12'", columns=["id"]).read().to_pylist() == [{"id": 12}]


def test_a_table_of_format_1_is_an_output(pair: Any, embedded: lf.Lake, namespace: str) -> None:
    """A run writes into it, once."""
    into = embedded.create_table(f"{namespace}.first", pair.source.schema, properties=FIRST)

    for _ in range(2):
        lf.foreach(pair.source.scan().shards(n=4), lambda rows: rows, into=into, run_id="v1", engine="serial")

    assert list(range(40)) == ids(into.refresh().scan().read().to_arrow())


def uuids() -> pa.Table:
    """Uuids with a null between them."""
    kept = pa.array([each.bytes if each else None for each in UUIDS], pa.binary(16)).cast(pa.uuid())
    return pa.table({"u": kept, "id": pa.array(range(5), pa.int64())})


@pytest.mark.parametrize("layout", [{"partition_by": ["u"]}, {"partition_by": ["bucket(4, u)"]},
                                    {"partition_by": ["void(u)"]}, {"sort_by": ["u"]}, {"sort_by": ["u desc", "id"]}],
                         ids=str)  # fmt: skip
def test_uuids_partition_and_sort(embedded: lf.Lake, namespace: str, layout: dict[str, Any]) -> None:
    """A uuid is written and read as it is, whatever the layout does with it."""
    table = embedded.create_table(f"{namespace}.t", uuids().schema, **layout)

    table.append(uuids())

    found = table.scan().read().to_arrow()
    assert dict(enumerate(UUIDS)) == {row["id"]: row["u"] for row in found.to_pylist()}
    if "sort_by" in layout:
        in_file = [None if each is None else each.int for each in found["u"].to_pylist()]
        known = sorted(each.int for each in UUIDS if each)
        assert in_file == ([*known[::-1], None] if "desc" in layout["sort_by"][0] else [None, *known])


@pytest.mark.parametrize("term", ["void(id)", "void(text)", "void(half)"])
def test_a_void_partition_is_one_partition(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], term: str
) -> None:
    """Spec v1 leaves `void` where a partition field was dropped: all rows lie under one null."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema, partition_by=[term])

    table.append(numbers(10))

    assert len(table.scan().shards(by="partition")) == 1
    assert list(range(10)) == ids(table.scan().read().to_arrow()) == ids(table.iceberg.scan().to_arrow())


@pytest.mark.parametrize(
    "layout",
    [
        {"partition_by": ["pair.a"]}, {"partition_by": ["bucket(4, pair.b)"]}, {"partition_by": ["pair"]},
        {"partition_by": ["many"]}, {"partition_by": ["many.element"]}, {"partition_by": ["map.key"]},
        {"sort_by": ["pair.a"]}, {"sort_by": ["pair"]}, {"sort_by": ["many"]}, {"sort_by": ["map"]},
        {"sort_by": ["many.element"]}, {"sort_by": ["id", "pair.b desc"]},
        {"partition_by": ["id", "id"]}, {"partition_by": ["bucket(4, id)", "bucket(4, id)"]},
        {"partition_by": ["identity(id)", "id"]},
        {"partition_by": ["bucket(0, id)"]}, {"partition_by": ["truncate(0, id)"]},
        {"partition_by": ["bucket(99999999999999999999, id)"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_layout_that_cannot_be_written_is_refused_at_once(
    embedded: lf.Lake, namespace: str, layout: dict[str, Any]
) -> None:
    """Nested fields, fields twice and widths of nothing: said when the table is made, which it isn't."""
    with pytest.raises(InputError) as caught:
        embedded.create_table(f"{namespace}.t", NESTED, **layout)

    assert next(iter(layout)) in str(caught.value)
    assert not embedded.has_table(f"{namespace}.t")


@pytest.mark.parametrize("terms", [[5], [None], 5, {"id": 1}.values()], ids=str)
@pytest.mark.parametrize("argument", ["partition_by", "sort_by"])
def test_a_layout_of_no_words_is_refused(embedded: lf.Lake, namespace: str, argument: str, terms: Any) -> None:
    """Terms are text: numbers are the caller's mistake, not ours."""
    with pytest.raises(InputError):
        embedded.create_table(f"{namespace}.t", NESTED, **{argument: terms})

    assert not embedded.has_table(f"{namespace}.t")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"partition_by": "id"}, (["id"], [])),
        ({"partition_by": "bucket(4, id)"}, (["bucket(4, id)"], [])),
        ({"sort_by": "id"}, ([], ["id"])),
        ({"sort_by": "id desc"}, ([], ["id desc"])),
    ],
    ids=str,
)
def test_one_string_is_one_term(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], given: dict[str, Any], read: Any
) -> None:
    """A string is a list of one, not of its letters."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema, **given)

    table.append(numbers(4))

    assert read == (table.partition_by, table.sort_by)
    assert list(range(4)) == ids(table.scan(columns="id").read().to_arrow())
    assert table.scan(columns="id").schema.names == ["id"]


@pytest.mark.parametrize("columns", [[], (), "", [""], [None], [1], 5])
def test_columns_that_are_none_are_refused(
    embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table], columns: Any
) -> None:
    """No column is a mistake, not all of them; a column is named by a string."""
    table = embedded.create_table(f"{namespace}.t", numbers(1).schema)

    with pytest.raises(InputError):
        table.scan(columns=columns)


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("x", pa.duration("s"))]),
        pa.schema([("x", pa.list_(pa.duration("us")))]),
        pa.schema([("x", pa.struct([("y", pa.duration("us"))]))]),
        pa.schema([("x", pa.month_day_nano_interval())]),
    ],
    ids=str,
)
def test_a_type_that_iceberg_lacks_is_refused(embedded: lf.Lake, namespace: str, schema: pa.Schema) -> None:
    """A duration is no column of a table; the message names it, and there is no table."""
    with pytest.raises((SchemaError, UnsupportedError)) as caught:
        embedded.create_table(f"{namespace}.t", schema)

    assert isinstance(caught.value, LakeflowError)
    assert "x" in caught.value.message
    assert not embedded.has_table(f"{namespace}.t")
