"""Columns that change: each step alone, many in a row, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.errors import InputError, NotFoundError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int32(), nullable=False),
        ("name", pa.string()),
        ("score", pa.float32()),
        ("price", pa.decimal128(5, 2)),
        ("place", pa.struct([("city", pa.string()), ("zip", pa.int32())])),
        ("items", pa.list_(pa.struct([("sku", pa.string()), ("n", pa.int32())]))),
        ("tags", pa.map_(pa.string(), pa.struct([("v", pa.float32())]))),
    ]
)
ROW = {
    "id": 1, "name": "a", "score": 0.5, "price": Decimal("1.25"), "place": {"city": "Ulm", "zip": 7},
    "items": [{"sku": "x", "n": 1}, None], "tags": [("k", {"v": 0.5}), ("z", None)],
}  # fmt: skip


@pytest.fixture
def table(lake: lf.Lake, namespace: str) -> lf.Table:
    """A row with nested columns, and one of nulls; in each kind of lake."""
    made = lake.create_table(f"{namespace}.t", SCHEMA)
    made.append(pa.Table.from_pylist([ROW, {"id": 2}], SCHEMA))
    return made


def first(table: lf.Table, **options: Any) -> dict[str, Any]:
    """The row with all its values."""
    [row] = table.scan(where="id = 1", **options).read().to_pylist()
    return row


def test_all_steps_of_a_block_are_one_change(table: lf.Table) -> None:
    """Added, dropped, renamed, moved, widened, made optional: one new schema, and old files read by it."""
    before = len(table.iceberg.schemas())
    with table.update_schema() as change:
        (
            change.add("year", pa.int32(), doc="of birth")
            .drop("score")
            .rename("name", "title")
            .promote("id", pa.int64())
            .promote("price", pa.decimal128(9, 2))
            .optional("id")
            .move("year", first=True)
            .move("price", after="year")
            .move("title", before="price")
        )

    assert table.schema.names == ["year", "title", "price", "id", "place", "items", "tags"]
    assert (pa.int64(), True, pa.decimal128(9, 2)) == (
        table.schema.field("id").type, table.schema.field("id").nullable, table.schema.field("price").type,
    )  # fmt: skip
    assert len(table.iceberg.schemas()) == before + 1
    found = first(table)
    assert (None, "a", Decimal("1.25"), 1) == tuple(found[name] for name in ("year", "title", "price", "id"))
    assert table.iceberg.schema().find_field("year").doc == "of birth"


def test_fields_inside_change_too(table: lf.Table) -> None:
    """Of a struct, of structs in a list, of structs in a map's values."""
    with table.update_schema() as change:
        change.add("place.country", pa.string()).rename("place.city", "town").promote("place.zip", pa.int64())
        change.add("items.element.price", pa.float64()).drop("items.element.sku").promote("items.element.n", pa.int64())
        change.add("tags.value.w", pa.list_(pa.int64())).promote("tags.value.v", pa.float64())
        change.move("place.country", first=True)

    found = first(table)

    assert found["place"] == {"country": None, "town": "Ulm", "zip": 7}
    assert list(found["place"]) == ["country", "town", "zip"]
    assert found["items"] == [{"n": 1, "price": None}, None]
    assert found["tags"] == [("k", {"v": 0.5, "w": None}), ("z", None)]
    new = {
        **found,
        "id": 3,
        "place": {"country": "DE", "town": "Bonn", "zip": 2**40},
        "tags": [("k", {"v": 1.0, "w": [1]})],
    }
    table.append(pa.Table.from_pylist([new], table.schema))
    assert [new] == table.scan(where="id = 3").read().to_pylist()


def test_a_block_that_raises_changes_nothing(table: lf.Table) -> None:
    """Neither does an empty one."""
    location = table.iceberg.metadata_location
    with pytest.raises(ZeroDivisionError), table.update_schema() as change:
        change.drop("name").add("x" * (1 // 0), pa.int32())
    with table.update_schema():
        pass

    assert location == table.refresh().iceberg.metadata_location


def test_a_dropped_name_comes_back_empty(table: lf.Table) -> None:
    """Twice in a row, as other types, at the top and inside; old values never show under the new column."""
    for kind in (pa.int64(), pa.string()):
        with table.update_schema() as change:
            change.drop("name").drop("place.zip")
        with table.update_schema() as change:
            change.add("name", kind).add("place.zip", kind)
        assert (first(table)["name"], first(table)["place"]) == (None, {"city": "Ulm", "zip": None})
    table.append(pa.Table.from_pylist([{**ROW, "id": 3, "place": {"city": "x", "zip": "y"}}], table.schema))
    assert table.scan(columns=["id"], where="name = 'a'").read().to_pylist() == [{"id": 3}]


def test_names_mean_what_they_mean_by_then(table: lf.Table) -> None:
    """Two columns swap their names in one block; a renamed one is named anew, a dropped one no more."""
    with table.update_schema() as change:
        change.rename("name", "aside").rename("score", "name").rename("aside", "score").promote("name", pa.float64())
        change.drop("price")
        with pytest.raises(NotFoundError):
            change.optional("price")
        with pytest.raises(NotFoundError):
            change.optional("aside")

    assert (first(table)["score"], first(table)["name"]) == ("a", 0.5)


def test_steps_build_on_each_other(table: lf.Table) -> None:
    """A field of a struct that was renamed, a column that was added: each is there under the name it has by then."""
    greatest = table.iceberg.metadata.last_column_id
    with table.update_schema() as change:
        change.drop("tags").add("tags", pa.int64())  # whose ids were the greatest
        change.rename("place", "home").rename("home.city", "town").add("home.country", pa.string())
        change.rename("home.country", "land").move("home.land", first=True)
        change.add("n", pa.int32()).promote("n", pa.int64()).rename("n", "m").move("m", after="id")
        change.add("gone", pa.decimal128(5, 2)).promote("gone", pa.decimal128(9, 2)).drop("gone")
        change.drop("score").add("score", pa.string())

    assert table.schema.names == ["id", "m", "name", "price", "home", "items", "tags", "score"]
    assert table.schema.field("m").type == pa.int64()
    found = first(table)
    assert found["home"] == {"land": None, "town": "Ulm", "zip": 7}
    assert (found["m"], found["score"], found["tags"]) == (None, None, None)
    assert table.iceberg.schema().find_field("tags").field_id > greatest
    table.append(pa.Table.from_pylist([{**found, "id": 3, "m": 2**40, "score": "x"}], table.schema))
    assert table.scan(["score"], where="m > 1").read().to_pylist() == [{"score": "x"}]


def test_a_hint_names_what_is_there_by_then(embedded: lf.Lake, namespace: str) -> None:
    """Not what was there before the block began."""
    change = embedded.create_table(f"{namespace}.t", SCHEMA).update_schema()
    change.rename("place", "home").rename("home.city", "town").drop("name")

    for wrong, hint in (("place.city", "home"), ("home.city", "home.town"), ("nam", "score")):
        with pytest.raises(NotFoundError) as refused:
            change.drop(wrong)
        assert hint in str(refused.value.hint)
        assert f" {wrong}" not in str(refused.value.hint)
    with pytest.raises(SchemaError, match="home"):
        change.rename("score", "home")


def test_a_name_with_a_dot_is_given_in_parts(table: lf.Table) -> None:
    """`["a.b"]` is one name; a text leads into a struct."""
    with table.update_schema() as change:
        change.add(["a.b"], pa.int32())

    assert "a.b" in table.schema.names


WRONG: dict[str, Callable[[Any], object]] = {
    "a name that is there": lambda change: change.add("name", pa.int32()),
    "a name that is there, inside": lambda change: change.add("place.city", pa.int32()),
    "a name that is added twice": lambda change: change.add("x", pa.int32()).add("x", pa.int32()),
    "a required column": lambda change: change.add("x", pa.int32(), required=True),
    "a field of what is no struct": lambda change: change.add("name.x", pa.int32()),
    "a float as a number": lambda change: change.promote("score", pa.int64()),
    "another kind": lambda change: change.promote("id", pa.string()),
    "another scale": lambda change: change.promote("price", pa.decimal128(9, 3)),
    "fewer digits": lambda change: change.promote("price", pa.decimal128(4, 2)),
    "a struct": lambda change: change.promote("place", pa.int32()),
    "a name that is taken": lambda change: change.rename("name", "id"),
    "out of its struct": lambda change: change.move("place.city", after="id"),
    "beside itself": lambda change: change.move("id", after="id"),
    "the key of a map": lambda change: change.drop("tags.key"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_iceberg_does_not_allow(embedded: lf.Lake, namespace: str, what: str) -> None:
    """Refused when it is named, or at the block's end; the table is as it was, and the next step is free."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    with pytest.raises(SchemaError, match=table.name), table.update_schema() as change:
        WRONG[what](change)

    assert table.refresh().schema == SCHEMA or table.schema.names == SCHEMA.names


@pytest.mark.parametrize(
    "missing",
    [
        lambda change: change.drop("nmae"), lambda change: change.rename("x", "y"),
        lambda change: change.promote("x", pa.int64()), lambda change: change.optional("place.x"),
        lambda change: change.move("x", first=True), lambda change: change.move("id", after="x"),
        lambda change: change.add("nowhere.x", pa.int32()),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there(embedded: lf.Lake, namespace: str, missing: Any) -> None:
    """Each step names it, and what there is."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    with pytest.raises(NotFoundError, match=r"x|nmae|nowhere"):
        missing(table.update_schema())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda change: change.add("x", "int"), lambda change: change.add("", pa.int32()),
        lambda change: change.add(7, pa.int32()), lambda change: change.drop(7),
        lambda change: change.promote("id", int), lambda change: change.rename("id", ""),
        lambda change: change.move("id"), lambda change: change.move("id", first=True, after="name"),
        lambda change: change.add("x", pa.int32(), default=3),
    ],
)  # fmt: skip
def test_arguments_that_can_not_be(embedded: lf.Lake, namespace: str, wrong: Any) -> None:
    """The caller's mistakes; a default, too, in a format version that has none."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)

    with pytest.raises(InputError):
        wrong(table.update_schema())


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_files_are_laid_out_by_is_not_dropped(embedded: lf.Lake, namespace: str, version: str) -> None:
    """Partition and sort columns stay; once the partitioning is gone, format version 2 lets them go."""
    table = embedded.create_table(
        f"{namespace}.t",
        pa.schema([("id", pa.int64()), ("c", pa.string()), ("s", pa.int32())]),
        partition_by=["c"],
        sort_by=["s"],
        properties={"format-version": version},
    )
    table.append({"id": [1, 2], "c": ["a", "b"], "s": [1, 2]})

    for column in ("c", "s"):
        with pytest.raises(SchemaError, match=f"{column!r} can't be dropped"):
            table.update_schema().drop(column)
    table.update_partitions(drop="c")
    if version == "1":
        with pytest.raises(SchemaError, match="was once partitioned"):
            table.update_schema().drop("c")
        return
    with table.update_schema() as change:
        change.drop("c")
    table.append({"id": [3], "s": [3]})

    assert sorted(row["id"] for row in table.scan().read().to_pylist()) == [1, 2, 3]
    assert [row["id"] for row in table.scan(snapshot=table.snapshots()[0].id, where="c = 'b'").read().to_pylist()] == [
        2
    ]


def test_two_who_change_the_schema_at_once(embedded: lf.Lake, namespace: str) -> None:
    """The second's steps are made on top of the first's; where they clash, they are refused."""
    table = embedded.create_table(f"{namespace}.t", SCHEMA)
    other = embedded.table(table.name)
    with table.update_schema() as mine, other.update_schema() as theirs:
        mine.add("x", pa.int32())
        theirs.add("y", pa.int32())
    mine = table.update_schema().add("z", pa.int32())
    with other.update_schema() as theirs:
        theirs.add("z", pa.string())
    with pytest.raises(SchemaError, match="already exists"), mine:
        pass

    assert table.refresh().schema.names[-3:] == ["y", "x", "z"]
    assert table.schema.field("z").type == pa.string()


def test_a_partitions_name_is_no_other_columns(embedded: lf.Lake, namespace: str) -> None:
    """It is kept while the column is renamed, whose name it can be again; dropped from the partitioning, too."""
    schema = pa.schema([("id", pa.int64()), ("kind", pa.string()), ("n", pa.int32())])
    table = embedded.create_table(f"{namespace}.t", schema, partition_by=["kind", "bucket(2, id)"])
    with table.update_schema() as change:
        change.rename("kind", "sort")
    table.update_partitions(drop="kind")

    for name in ("kind", "id_bucket"):
        with pytest.raises(SchemaError, match=f"called {name!r}: a partition of it is, or was"):
            table.update_schema().rename("n", name)
        with pytest.raises(SchemaError, match=f"called {name!r}: a partition of it is, or was"):
            table.update_schema().add(name, pa.string())
    with table.update_schema() as change:
        change.rename("sort", "kind")

    assert table.refresh().schema.names == ["id", "kind", "n"]
