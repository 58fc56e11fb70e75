"""Data that someone hands over -> a table's exact columns and types, or one clear error."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from lakeflow_io.errors import SchemaError

__all__ = ["conform"]


def conform(data: pa.Table, schema: pa.Schema, table: str) -> pa.Table:
    """Order and cast the columns of `data` to `schema`, by name.

    A cast must keep every value as what it is: int32 becomes int64, a dictionary its values, float64
    becomes float32 where nothing is lost. Text doesn't become numbers, nor moments dates. A nullable
    column, or a nullable field of a struct, may be missing.

    Args:
        data: Any column order.
        schema: The table's Arrow schema, with field ids.
        table: Named in errors.

    Raises:
        SchemaError: a column is missing, unknown, of another type, or null where it may not be;
            lists all of them.
    """
    known = set(schema.names)
    problems = [f"unknown column {name!r}" for name in data.column_names if name not in known]
    twice = {name for name in data.column_names if data.column_names.count(name) > 1}
    problems += [f"column {name!r} appears more than once" for name in sorted(twice)]
    columns = []
    for field in schema:
        if field.name not in twice:
            column, wrong = _fit(data, field)
            columns.append(column)
            problems += [wrong] if wrong else []
    if problems:
        raise SchemaError(
            f"The data does not fit {table}: " + "; ".join(problems) + ".",
            "the table has " + ", ".join(f"{field.name}: {field.type}" for field in schema) + ".",
        )
    return pa.table(columns, schema=schema)


def _fit(data: pa.Table, field: pa.Field) -> tuple[Any, str | None]:
    """A table's column out of the data, and what is wrong with it."""
    if field.name not in data.column_names:
        nulls = pa.nulls(data.num_rows, field.type)
        return nulls, None if field.nullable else f"missing column {field.name!r} ({field.type})"
    column = data.column(field.name)
    wrong = _why_not(column.type, field.type)
    if wrong is None:
        try:
            column = _cast(column, field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            wrong = str(error).splitlines()[0]
    if wrong is not None:
        return column, f"column {field.name!r} is {column.type}, not {field.type} ({wrong})"
    if not field.nullable and column.null_count:
        return column, f"column {field.name!r} has {column.null_count} nulls and is required"
    return column, None


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if column.type == wanted:
        return column
    cast = column.cast(wanted)
    if kinds.is_floating(column.type) and kinds.is_floating(wanted) and column.type.bit_width > wanted.bit_width:
        # Arrow's safe cast is not safe here: it rounds. NaN is not equal to itself and stays NaN.
        back = cast.cast(column.type).to_numpy()
        before = column.to_numpy()
        if not ((back == before) | ((back != back) & (before != before))).all():  # noqa: PLR0124
            raise pa.ArrowInvalid("a value would be rounded")
    return cast


def _why_not(have: pa.DataType, want: pa.DataType, *, nested: bool = False) -> str | None:
    """Why a type can't become another without changing what values mean; None where it can."""
    if have == want or kinds.is_null(have):
        return None
    if kinds.is_dictionary(have):
        return _why_not(have.value_type, want, nested=True)
    if kinds.is_struct(have) and kinds.is_struct(want):
        return _why_not_struct(have, want)
    if _is_list(have) and _is_list(want):
        return _why_not(have.value_type, want.value_type, nested=True)
    if kinds.is_map(have) and kinds.is_map(want):
        return _why_not(have.key_type, want.key_type, nested=True) or _why_not(
            have.item_type, want.item_type, nested=True
        )
    if kinds.is_timestamp(have) and kinds.is_timestamp(want):
        return None if (have.tz is None) == (want.tz is None) else "one has a time zone, the other has none"
    if isinstance(want, pa.BaseExtensionType):
        return _why_not(have, want.storage_type)
    if nested and kinds.is_floating(have) and kinds.is_floating(want) and have.bit_width > want.bit_width:
        return "a wider float"  # only a column of its own is checked value by value
    return None if any(same(have) and same(want) for same in _FAMILIES) else "another kind of type"


def _is_list(kind: pa.DataType) -> bool:
    return any(
        check(kind)
        for check in (
            kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list, kinds.is_list_view, kinds.is_large_list_view,
        )
    )  # fmt: skip


def _is_text(kind: pa.DataType) -> bool:
    return kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(
        check(kind)
        for check in (kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view, kinds.is_fixed_size_binary)
    )


# Within a family Arrow's safe cast keeps every value or raises.
_FAMILIES = (
    kinds.is_integer,
    kinds.is_floating,
    _is_text,
    _is_bytes,
    kinds.is_date,
    kinds.is_time,
    lambda kind: kinds.is_decimal(kind) or kinds.is_integer(kind),
)


def _why_not_struct(have: pa.DataType, want: pa.DataType) -> str | None:
    fields = {want.field(i).name: want.field(i) for i in range(want.num_fields)}
    for i in range(have.num_fields):
        field = have.field(i)
        if field.name not in fields:
            return f"unknown field {field.name!r}"
        wrong = _why_not(field.type, fields.pop(field.name).type, nested=True)
        if wrong:
            return f"field {field.name!r}: {wrong}"
    missing = [name for name, field in fields.items() if not field.nullable]
    return f"missing field {missing[0]!r}" if missing else None
