"""An Arrow compute expression -> a condition, and the columns it looks at.

Arrow offers no way to walk an expression, but it pickles one: a record batch whose schema metadata
lists calls, fields and literals in prefix order, with the literals as its columns. That listing has
repeated keys, which pyarrow's dicts lose, so it is read through the C data interface. What isn't
recognised is unknown: then no file is pruned, and all columns are read.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from lakeflow_engines.frames.condition import Both, Compare, Condition, Either, IsNull, Not, OneOf, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.compute as pc

__all__ = ["arrow_condition"]

_Term: TypeAlias = Any  # a condition, a _Field or a _Literal
_COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}


class _Field(str):
    """A column's name."""

    __slots__ = ()


class _Literal:
    """A value, or the options of a call."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _ArrowSchema(ctypes.Structure):
    # The head of the struct: https://arrow.apache.org/docs/format/CDataInterface.html
    _fields_ = (("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p))


def arrow_condition(expression: pc.Expression) -> tuple[Condition, list[str] | None]:
    """What an expression asks of plain columns.

    Returns:
        The condition, and the names of all top-level columns in the expression; None if they can't be told.
    """
    try:
        pickled = pa.ipc.open_file(expression.__reduce__()[1][0]).get_batch(0)
        pairs = _metadata(pickled.schema)
        condition = _as_condition(_term(iter(pairs), pickled))
    except (pa.ArrowException, LookupError, TypeError, ValueError, RecursionError):
        return Unknown(), None
    nested = any(key == "nested_field_ref" for key, _ in pairs)
    names = [value for key, value in pairs if key == "field_ref"]
    return condition, None if nested else list(dict.fromkeys(names))


def _metadata(schema: pa.Schema) -> list[tuple[str, str]]:
    """All pairs of a schema's metadata, in order: counts and lengths are native 32-bit integers."""
    capsule = schema.__arrow_c_schema__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    at = _ArrowSchema.from_address(pointer(capsule, b"arrow_schema")).metadata
    if at is None:
        raise ValueError("an expression without a listing")
    texts = []
    count = ctypes.c_int32.from_address(at).value
    at += 4
    for _ in range(2 * count):
        length = ctypes.c_int32.from_address(at).value
        texts.append(ctypes.string_at(at + 4, length).decode())
        at += 4 + length
    return list(zip(texts[::2], texts[1::2], strict=True))


def _term(pairs: Iterator[tuple[str, str]], values: pa.RecordBatch) -> _Term:
    key, text = next(pairs)
    match key:
        case "field_ref":
            return _Field(text)
        case "nested_field_ref":
            for _ in range(int(text)):
                next(pairs)
            return Unknown()
        case "literal" | "options":
            return _Literal(values.column(int(text))[0].as_py())
        case "call":
            arguments = []
            while (argument := _term(pairs, values)) is not None:
                arguments.append(argument)
            return _call(text, arguments)
        case "end":
            return None
        case _:
            raise ValueError(f"an expression with a {key}")


def _call(name: str, arguments: list[_Term]) -> Condition:
    match name, arguments:
        case "and_kleene", [left, right]:
            return Both(_as_condition(left), _as_condition(right))
        case "or_kleene", [left, right]:
            return Either(_as_condition(left), _as_condition(right))
        case "invert", [child]:
            return Not(_as_condition(child))
        case "is_valid", [_Field() as column]:
            return Not(IsNull(str(column)))
        case "is_null", [_Field() as column, _Literal(value={"nan_is_null": False})]:
            return IsNull(str(column))
        case "is_in", [_Field() as column, _Literal(value={"value_set": list(values)})]:
            # A null is in no set here, and its opposite is true: only the positive half can be told.
            return Both(OneOf(str(column), tuple(values)), Unknown())
        case "if_else", [Not(IsNull(tested)), Both(OneOf(column) as member, Unknown()), _Literal(value=None)]:
            return member if tested == column else Unknown()
        case _, [_Field() as column, _Literal(value=value)] if name in _COMPARISONS and value is not None:
            return Compare(str(column), _COMPARISONS[name], value)
        case _:
            return Unknown()


def _as_condition(term: _Term) -> Condition:
    if isinstance(term, _Field):
        return Compare(str(term), "==", True)  # noqa: FBT003  (the value compared with)
    return Unknown() if term is None or isinstance(term, _Literal) else term
