"""Data that someone hands over -> a table's exact columns and types, or one clear error."""

from __future__ import annotations

import pyarrow as pa

from lakeflow_io.errors import SchemaError

__all__ = ["conform"]


def conform(data: pa.Table, schema: pa.Schema, table: str) -> pa.Table:
    """Order and cast the columns of `data` to `schema`, by name.

    A cast must keep every value: int32 to int64 is fine, 1.5 to int isn't. A nullable column may
    be missing.

    Args:
        data: Any column order.
        schema: The table's Arrow schema, with field ids.
        table: Named in errors.

    Raises:
        SchemaError: a column is missing, unknown, of another type, or null where it may not be;
            lists all of them.
    """
    found = set(data.column_names)
    known = set(schema.names)
    problems = [f"unknown column {name!r}" for name in data.column_names if name not in known]
    problems += [f"column {name!r} appears twice" for name in sorted(found) if data.column_names.count(name) > 1]
    columns = []
    for field in schema:
        if field.name not in found:
            if not field.nullable:
                problems.append(f"missing column {field.name!r} ({field.type})")
            columns.append(pa.nulls(data.num_rows, field.type))
            continue
        try:
            column = data.column(field.name).cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
            had = data.schema.field(data.column_names.index(field.name)).type
            problems.append(f"column {field.name!r} is {had}, not {field.type} ({str(error).splitlines()[0]})")
            continue
        if not field.nullable and column.null_count:
            problems.append(f"column {field.name!r} has {column.null_count} nulls and is required")
        columns.append(column)
    if problems:
        raise SchemaError(
            f"The data does not fit {table}: " + "; ".join(problems) + ".",
            "the table has " + ", ".join(f"{field.name}: {field.type}" for field in schema) + ".",
        )
    return pa.table(columns, schema=schema)
