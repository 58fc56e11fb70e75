"""`partition_by` and `sort_by` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lakeflow_io.errors import InputError, NotFoundError
from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.iceberg.layout import partition_spec, sort_order

if TYPE_CHECKING:
    import lakeflow as lf

SCHEMA = fresh_schema(
    pa.schema([("id", pa.int64()), ("day", pa.date32()), ("at", pa.timestamp("us")), ("name", pa.string()),
               ("x", pa.float64())]),
    2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("term", "transform", "name"),
    [
        ("name", "identity", "name"),
        ("identity(name)", "identity", "name"),
        ("bucket(16, id)", "bucket[16]", "id_bucket"),
        (" bucket( 16 ,id ) ", "bucket[16]", "id_bucket"),
        ("BUCKET(4, name)", "bucket[4]", "name_bucket"),
        ("truncate(3, name)", "truncate[3]", "name_trunc"),
        ("year(day)", "year", "day_year"),
        ("years(day)", "year", "day_year"),
        ("month(at)", "month", "at_month"),
        ("days(at)", "day", "at_day"),
        ("day(at)", "day", "at_day"),
        ("hours(at)", "hour", "at_hour"),
    ],
)
def test_a_term_is_a_transform(term: str, transform: str, name: str) -> None:
    """Each transform of the spec, in any case, singular or plural, with any spaces."""
    [field] = partition_spec(SCHEMA, [term]).fields

    assert (transform, name, 1000) == (str(field.transform), field.name, field.field_id)


@pytest.mark.parametrize(
    ("term", "kind", "says"),
    [
        ("nmae", NotFoundError, "nmae"),
        ("bucket(4, nmae)", NotFoundError, "nmae"),
        ("bucket(id)", InputError, "no transform"),
        ("year(4, day)", InputError, "no transform"),
        ("hash(id)", InputError, "no transform"),
        ("hour(day)", InputError, "does not take a column of type date"),
        ("year(name)", InputError, "does not take a column of type string"),
        ("bucket(4, x)", InputError, "does not take a column of type double"),
        ("bucket(4, id", InputError, "no column and no transform"),
        ("", InputError, "no column and no transform"),
    ],
)
def test_a_wrong_term_says_what_is_wrong(term: str, kind: type[InputError], says: str) -> None:
    """A misspelt column, an unknown transform and one that doesn't take the type are told apart."""
    with pytest.raises(kind, match="partition_by") as caught:
        partition_spec(SCHEMA, [term])

    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("term", "expected"),
    [("id", ("asc", "nulls-first")), ("id asc", ("asc", "nulls-first")), ("id DESC", ("desc", "nulls-last"))],
)
def test_a_sort_term_has_a_direction(term: str, expected: tuple[str, str]) -> None:
    """Ascending with nulls first, unless `desc` turns it around."""
    [field] = sort_order(SCHEMA, [term]).fields

    assert expected == (field.direction.value, field.null_order.value)


def test_a_wrong_sort_term_is_named() -> None:
    """The message says which argument held it."""
    with pytest.raises(NotFoundError, match="sort_by 'ids'"):
        sort_order(SCHEMA, ["ids"])


def test_a_tables_layout_reads_as_it_was_written(embedded: lf.Lake, namespace: str) -> None:
    """`partition_by` and `sort_by` of a table are words that create_table takes again."""
    words = {"partition_by": ["bucket(4, id)", "name", "truncate(2, name)", "month(at)"], "sort_by": ["id", "x desc"]}
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us")), ("name", pa.string()), ("x", pa.float64())])

    table = embedded.create_table(f"{namespace}.t", schema, **words)
    again = embedded.create_table(f"{namespace}.u", schema, partition_by=table.partition_by, sort_by=table.sort_by)

    assert words == {"partition_by": again.partition_by, "sort_by": again.sort_by}


def test_a_refused_layout_creates_nothing(embedded: lf.Lake, namespace: str) -> None:
    """A table whose layout is wrong doesn't exist afterwards."""
    with pytest.raises(InputError):
        embedded.create_table(f"{namespace}.t", pa.schema([("a", pa.int64())]), partition_by=["hash(a)"])

    assert not embedded.has_table(f"{namespace}.t")
