"""The columns a cache stores: what it accepts, and the plain form in which they lie on disk."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow.cache.keys.column import KeyNames, key_of
from lakeflow.cache.keys.views import dictionary_without_views, without_views
from lakeflow_io.errors import InputError, NotFoundError, SchemaError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["FOUND", "answer_schema", "chosen", "common_schema", "fitted", "one_batch", "pieces", "schema_at", "stored"]

_REMEMBERED_SCHEMAS = 64  # as many kinds of caches as a process is likely to read
FOUND = "found"
"""The column that `get_many` adds."""

# Arrow 26 casts a list view that has a null to an invalid list, and can't sort the others.
_UNSUPPORTED = (
    pa.types.is_union,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_run_end_encoded,
)


def stored(table: pa.Table, key: KeyNames) -> pa.Table:
    """Check a table and bring its columns into stored form.

    String and binary views become large strings and binaries, a dictionary becomes its values:
    rows of those types share buffers, which can't be cut into segments and shards by size.
    Arrow has no cast from a dictionary of views, as Polars' categories are: it takes two.

    Raises:
        SchemaError: no usable key column, a null key, or a column name that is taken.
        UnsupportedError: a union, a list view or a run-end encoded column.
    """
    names = table.schema.names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"Column {repeated[0]!r} is there more than once."
        raise SchemaError(message, "give every column its own name.")
    if FOUND in names:
        message = f"A column can't be named {FOUND!r}: get_many() adds one of that name."
        raise SchemaError(message, "rename it.")
    fields = [field.with_type(_stored_type(field.type)) for field in table.schema]
    schema = pa.schema(fields)
    for name in key_of(schema, key).names:
        nulls = table[name].null_count
        if nulls:
            message = f"{nulls} of {table.num_rows} rows have no key: column {name!r} is null there."
            raise SchemaError(message, "drop those rows, or fill the column.")
    try:
        bare = table.replace_schema_metadata(None)
        castable = pa.schema([field.with_type(_castable(field.type)) for field in bare.schema])
        return (bare if castable == bare.schema else bare.cast(castable)).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise SchemaError(f"The columns don't fit their own types: {error}") from error


@lru_cache(_REMEMBERED_SCHEMAS)
def schema_at(serialized: bytes) -> pa.Schema:
    """Decode a schema.

    Raises:
        pyarrow.ArrowException: it can't be decoded.
    """
    return pa.ipc.read_schema(pa.py_buffer(serialized))


def chosen(schema: pa.Schema, columns: Sequence[str] | None, version: str) -> list[str]:
    """Return the columns that were asked for of a version, all of them where None.

    Raises:
        NotFoundError: there is no such column.
        InputError: they are no list of names, or one is asked for twice.
    """
    known: list[str] = schema.names
    if columns is None:
        return known
    names = _different(columns)
    unknown = [name for name in names or () if name not in known]
    if names is None or not all(isinstance(name, str) for name in unknown):
        raise InputError(f"columns={columns!r} is no list of different columns.", 'give one, such as ["score"].')
    if unknown:
        raise NotFoundError.among("column", unknown[0], f"version {version}", known)
    return names


def answer_schema(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return the columns of an answer to many keys: any may be null, as a key may have no row, but for the last."""
    fields = [schema.field(name).with_nullable(nullable=True) for name in names]
    return pa.schema([*fields, pa.field(FOUND, pa.bool_(), nullable=False)])


def common_schema(schemas: list[pa.Schema]) -> pa.Schema:
    """Return the one schema that all segments have; a column of only nulls takes the type it has elsewhere.

    Raises:
        SchemaError: they differ.
    """
    first = schemas[0]
    for schema in schemas[1:]:
        if sorted(schema.names) != sorted(first.names):
            message = f"Two parts of the data have other columns: {first.names} and {schema.names}."
            raise SchemaError(message, "return the same columns from every shard.")
    try:
        return pa.unify_schemas(schemas)
    except pa.ArrowException as error:
        message = f"Two parts of the data have other types: {error}"
        raise SchemaError(message, "return the same column types from every shard.") from error


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Bring the columns of stored form into those of a version, without the loss of a value.

    Raises:
        SchemaError: there are other columns, or a value doesn't fit its column.
    """
    if sorted(table.schema.names) != sorted(schema.names):
        message = f"The rows have the columns {table.schema.names}, and the version has {schema.names}."
        raise SchemaError(message, "give whole rows; load() makes a version with other columns.")
    for field in table.schema:
        wanted = schema.field(field.name).type
        if not _fits(field.type, wanted):
            message = f"Column {field.name!r} is {field.type}, and the version has {wanted}."
            raise SchemaError(message, "cast it; load() makes a version with other columns.")
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise SchemaError(f"A value doesn't fit the version's columns: {error}") from error


def pieces(table: pa.Table, most_bytes: int, most_rows: int | None = None) -> Iterator[pa.Table]:
    """Cut a table into runs of rows of at most so many bytes and rows each, or of one row."""
    rows = table.num_rows
    if rows <= 1 or (table.nbytes <= most_bytes and (most_rows is None or rows <= most_rows)):
        yield table
        return
    half = rows // 2
    yield from pieces(table.slice(0, half), most_bytes, most_rows)
    yield from pieces(table.slice(half), most_bytes, most_rows)


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Join the chunks of a table that is small enough for it."""
    columns = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _different(columns: Iterable[str]) -> list[str] | None:
    """Return them as a list; None where that isn't possible, or one stands twice."""
    if isinstance(columns, (str, bytes)):
        return None
    try:
        names = list(columns)
        return names if len(set(names)) == len(names) else None
    except TypeError:  # no iterable, or what is in it can't be a name
        return None


def _fits(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Tell whether a checked cast keeps every value as it is, or fails."""
    types = pa.types
    if types.is_integer(kind):
        return types.is_integer(wanted) or types.is_floating(wanted)
    if types.is_floating(kind):
        return types.is_floating(wanted) and kind.bit_width <= wanted.bit_width
    texts, binaries = (pa.string(), pa.large_string()), (pa.binary(), pa.large_binary())
    alike = any(kind in kinds and wanted in kinds for kinds in (texts, binaries))
    return kind == wanted or types.is_null(kind) or alike


def _stored_type(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        if _stored_type(kind.storage_type) != kind.storage_type and not types.is_dictionary(kind.storage_type):
            raise UnsupportedError(f"A cache can't hold a column of type {kind}.", "cast it to its storage type.")
        return kind
    if types.is_dictionary(kind):
        value = kind.value_type
        return pa.large_string() if types.is_string(value) else _stored_type(value)
    if any(test(kind) for test in _UNSUPPORTED):
        raise UnsupportedError(f"A cache can't hold a column of type {kind}.", "cast it to a plain type.")
    return without_views(kind) if not types.is_nested(kind) else _rebuilt(kind, _stored_type)


def _castable(kind: pa.DataType) -> pa.DataType:
    """Return the type that Arrow can cast to the stored one: dictionaries of views are those of what views become."""
    if pa.types.is_dictionary(kind):
        return dictionary_without_views(kind)
    plain = isinstance(kind, pa.BaseExtensionType) or not pa.types.is_nested(kind)
    return kind if plain else _rebuilt(kind, _castable)


def _rebuilt(kind: pa.DataType, of: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """Return a struct, map or list with other types in it."""
    types = pa.types
    if types.is_struct(kind):
        return pa.struct([field.with_type(of(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(of(kind.key_type), of(kind.item_type), kind.keys_sorted)
    item = kind.value_field.with_type(of(kind.value_type))
    if types.is_fixed_size_list(kind):
        return pa.list_(item, kind.list_size)
    return pa.large_list(item) if types.is_large_list(kind) else pa.list_(item)
