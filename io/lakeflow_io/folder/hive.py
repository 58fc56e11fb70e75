"""`key=value` folders -> partition columns: one value a file and a column, typed over all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, unquote

import pyarrow as pa

from lakeflow_io.errors import InputError, NotFoundError, SchemaError
from lakeflow_io.folder.types import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.folder.listing import Found

__all__ = ["HiveTypes", "label", "partitions"]

HiveTypes: TypeAlias = bool | Mapping[str, pa.DataType] | pa.Schema | None

# What Hive, and everyone since, writes for null.
_NULL = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def label(names: Sequence[str], values: Sequence[object]) -> str:
    """`year=2024/country=DE`, for people."""
    texts = (_NULL if value is None else quote(str(value)) for value in values)
    return "/".join(f"{quote(name)}={text}" for name, text in zip(names, texts, strict=True))


def partitions(files: Sequence[Found], hive: HiveTypes, schema: pa.Schema | None = None) -> pa.Table:
    """Partition columns of `files`.

    A column is int64 where all its values are whole numbers, else date32 where all are ISO dates, else
    text; `hive` may say otherwise. Names and values are percent-decoded.

    Args:
        files: With the keys on their paths; at least one.
        hive: False for none; None for those there are; True where there must be some; or types by key.
        schema: The types of keys that `hive` doesn't name and this does.

    Returns:
        One row a file, one column a key, in the order of the paths; no column where there are no keys.

    Raises:
        SchemaError: files have different keys, or a value isn't of the type asked for.
        NotFoundError: `hive` names a key that no path has.
        InputError: `hive` is none of these.
    """
    if hive is False:
        return _rows(len(files))
    types = _asked_types(hive)
    keys = [_decoded(file) for file in files]
    names = list(keys[0])
    if hive is True and not names:
        raise SchemaError(f"{files[0].uri} has no key=value folder on its path.", "leave hive=True out.")
    for file, found in zip(files, keys, strict=True):
        if set(found) != set(names):
            raise SchemaError(
                f"{files[0].uri} has the partition keys {names}, {file.uri} has {list(found)}.",
                "read the folders apart, or pass hive=False to ignore keys on paths.",
            )
    for name in types:
        if name not in names:
            raise NotFoundError.among("partition key", name, files[0].uri, names)
    if schema is not None:
        types = {name: schema.field(name).type for name in names if name in schema.names} | types
    columns = [_column(name, [found[name] for found in keys], types.get(name), files) for name in names]
    return pa.table(columns, names=names) if names else _rows(len(files))


def _rows(count: int) -> pa.Table:
    return pa.table({"_": pa.nulls(count)}).select([])


def _asked_types(hive: HiveTypes) -> dict[str, pa.DataType]:
    if hive is None or hive is True:
        return {}
    if isinstance(hive, pa.Schema):
        schema: Any = hive  # pyarrow has no annotations, so that a type checker sees all of the union
        return dict(zip(schema.names, schema.types, strict=True))
    if not isinstance(hive, Mapping) or not all(isinstance(kind, pa.DataType) for kind in hive.values()):
        raise InputError(f"hive={hive!r} says nothing about partitions.", 'give True, False, or {"year": pa.int32()}.')
    return dict(hive)


def _decoded(file: Found) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for key, value in file.keys:
        try:
            name, text = unquote(key, errors="strict"), unquote(value, errors="strict")
        except UnicodeDecodeError:
            raise SchemaError(
                f"The folder {key}={value} of {file.uri} does not decode as UTF-8.", "rename it, or pass hive=False."
            ) from None
        if name in found:
            raise SchemaError(f"The path of {file.uri} has the key {name!r} twice.", "pass hive=False to ignore keys.")
        found[name] = None if value == _NULL else text
    return found


def _column(name: str, values: list[str | None], asked: pa.DataType | None, files: Sequence[Found]) -> pa.Array:
    kind = _inferred(values) if asked is None else canonical(asked, f"partition column {name!r}")
    if not _is_simple(kind):
        raise SchemaError(
            f"The partition column {name!r} can't be {kind}.", "give a number, text, boolean, date or timestamp[us]."
        )
    distinct = dict.fromkeys(values)
    try:
        typed = pa.array(list(distinct), pa.string()).cast(kind)
    except pa.ArrowException as error:
        # Say which: cast them one by one.
        bad = next(value for value in distinct if not _casts(value, kind))
        file = files[values.index(bad)]
        raise SchemaError(
            f"{name}={bad} on the path of {file.uri} is no {kind}.", f'pass hive={{"{name}": pa.string()}}.'
        ) from error
    position = {value: number for number, value in enumerate(distinct)}
    return typed.take(pa.array([position[value] for value in values], pa.int64()))


def _casts(value: str | None, kind: pa.DataType) -> bool:
    try:
        pa.array([value], pa.string()).cast(kind)
    except pa.ArrowException:
        return False
    return True


def _inferred(values: list[str | None]) -> pa.DataType:
    there = {value for value in values if value is not None}
    if there and all(_is_int64(value) for value in there):
        return pa.int64()
    if there and all(_is_date(value) for value in there):
        return pa.date32()
    return pa.string()


def _is_int64(text: str) -> bool:
    return bool(_INTEGER.fullmatch(text)) and -(2**63) <= int(text) < 2**63


def _is_date(text: str) -> bool:
    if not _ISO_DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_simple(kind: pa.DataType) -> bool:
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    others = pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind)
    return numbers or others or (pa.types.is_timestamp(kind) and kind.unit == "us")
