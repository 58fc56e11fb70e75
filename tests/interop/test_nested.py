"""Spark wrote structs, lists and maps, in each other, with nulls at each level; and changed them."""

from __future__ import annotations


def test_structs(make, check):
    """Null structs, structs of nulls, and structs in structs."""
    table = make("id int, s struct<a: int, t: struct<b: string, c: decimal(10, 2)>>")
    table.sql(
        "insert into {t} values (1, named_struct('a', 1, 't', named_struct('b', 'x', 'c', 1.5))),"
        " (2, named_struct('a', null, 't', null)), (3, null),"
        " (4, named_struct('a', 4, 't', named_struct('b', null, 'c', null)))"
    )

    check(table, "s.a = 1", "s.t.b = 'x'", "s.a is null")


def test_lists(make, check):
    """Null lists, empty lists, lists of nulls, lists of lists and of structs."""
    table = make("id int, l array<int>, ll array<array<string>>, ls array<struct<a: int, b: string>>")
    table.sql(
        "insert into {t} values (1, array(1, 2), array(array('a'), array()), array(named_struct('a', 1, 'b', 'x'))),"
        " (2, array(), array(), array()), (3, null, null, null),"
        " (4, array(null), array(null, array(null)), array(null, named_struct('a', null, 'b', null)))"
    )

    check(table, "id > 2")


def test_maps(make, check):
    """Maps of plain values, of lists and of structs; null maps, empty maps, null values."""
    table = make("id int, m map<string, int>, ms map<int, struct<a: int>>, ml map<string, array<int>>")
    table.sql(
        "insert into {t} values (1, map('a', 1, 'b', null), map(1, named_struct('a', 1)), map('k', array(1, null))),"
        " (2, map(), map(), map()), (3, null, null, null), (4, map('z', 1), map(7, null), map('k', null))"
    )

    check(table, "id > 2")


def test_deep_nesting(make, check):
    """A list of maps of structs of lists."""
    table = make("id int, deep array<map<string, struct<l: array<struct<x: timestamp, y: binary>>>>>")
    inner = "named_struct('l', array(named_struct('x', timestamp '2024-02-29 12:00:00', 'y', X'FF'), null))"
    table.sql(
        f"insert into {{t}} values (1, array(map('k', {inner}), null, map())), (2, null), (3, array(map('k', null)))"
    )

    check(table, "id = 1")


def test_fields_of_structs_evolve(make, check):
    """Fields are added, renamed, dropped, promoted and moved inside a struct; older files follow by id."""
    table = make("id int, s struct<a: int, b: string, c: float>")
    table.sql(
        "insert into {t} values (1, named_struct('a', 1, 'b', 'x', 'c', 1.5)), (2, null)",
        "alter table {t} add column s.d bigint",
        "alter table {t} rename column s.b to e",
        "alter table {t} drop column s.c",
        "alter table {t} alter column s.a type bigint",
        "alter table {t} alter column s.d first",
        "insert into {t} values (3, named_struct('d', 7, 'a', 5000000000, 'e', 'y')), (4, null)",
    )

    check(table, "s.a = 1", "s.e = 'y'", "s.d is null")


def test_a_field_comes_again_under_its_old_name(make, check):
    """A nested field that was dropped and added anew is another field: old files have no values for it."""
    table = make("id int, s struct<a: int, b: string>")
    table.sql(
        "insert into {t} values (1, named_struct('a', 1, 'b', 'old'))",
        "alter table {t} drop column s.b",
        "alter table {t} add column s.b string",
        "insert into {t} values (2, named_struct('a', 2, 'b', 'new'))",
    )

    check(table, "s.b is null", "s.b = 'new'")


def test_elements_evolve(make, check):
    """Elements of lists and values of maps are promoted; structs in them get fields."""
    table = make("id int, l array<int>, m map<string, float>, ls array<struct<a: int>>, ms map<string, struct<a: int>>")
    table.sql(
        "insert into {t} values (1, array(1), map('a', 1.5), array(named_struct('a', 1)), map('k', named_struct('a', 1)))",
        "alter table {t} alter column l.element type bigint",
        "alter table {t} alter column m.value type double",
        "alter table {t} add column ls.element.b string",
        "alter table {t} add column ms.value.b string",
        "insert into {t} values (2, array(5000000000), map('b', double(2.5)),"
        " array(named_struct('a', 2, 'b', 'x')), map('k', named_struct('a', 2, 'b', 'y')))",
    )

    check(table, "id = 1")


def test_null_lists_of_elements_that_evolved(make, check):
    """Null and empty lists and maps stay what they are, where what is in them has changed since."""
    table = make("id int, l array<int>, ls array<struct<a: int>>, m map<string, struct<a: int>>")
    table.sql(
        "insert into {t} values (1, null, null, null), (2, array(), array(), map()), (3, array(1), array(null), map('k', null))",
        "alter table {t} alter column l.element type bigint",
        "alter table {t} add column ls.element.b string",
        "alter table {t} add column m.value.b string",
    )

    check(table, "id < 3")


def test_null_lists_in_files_that_require_elements(make, check):
    """Spark writes elements as required where a query gives none that are null; lists beside them may be null."""
    table = make("id int, l array<int>, m map<string, int>")
    table.sql(
        "insert into {t} select int(id), if(id = 1, null, array(int(id))), if(id = 1, null, map('k', 1)) from range(3)"
    )

    check(table, "id = 1")
