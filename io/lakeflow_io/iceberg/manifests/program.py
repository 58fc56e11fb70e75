"""An Avro schema and what is wanted of its records -> the program that `native/avro.h` describes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lakeflow_io.iceberg.manifests.wanted import ByKey, Elements, Fields, List, Number, Sizes, Text, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow_io.iceberg.manifests.wanted import Wanted

__all__ = ["LISTS", "NUMBERS", "TEXTS", "Program", "SchemaFault", "Slot", "compiled"]

# As avro.h numbers them.
(
    END, INT, RAW, TEXT, EXACT, SKIP_INT, SKIP_RAW, SKIP_TEXT, UNION, JUMP, ARRAY, SKIP_ARRAY,
    LIST, KEY, INT_OF, RAW_OF, TEXT_OF, SIZES, SIZE_OF, TALLY, MAP,
) = range(21)  # fmt: skip
NUMBERS, TEXTS, LISTS = range(3)

_RAW_BYTES = {"boolean": 1, "float": 4, "double": 8}
_INTEGERS = {"int": 4, "long": 8, "enum": 4}
_TEXTS = ("string", "bytes")
# Types within types; a manifest has four.
_MOST_DEPTH, _MOST_STEPS = 24, 100_000


class SchemaFault(Exception):  # noqa: N818  (never leaves this package)
    """What is wrong with a schema."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A column that a program fills."""

    name: str
    kind: int
    width: int
    """Bytes of a number."""
    type: str
    """Avro's type."""
    logical: str = ""
    """Avro's logical type, with `(precision, scale)` of a decimal."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run for each record."""

    words: tuple[int, ...]
    slots: tuple[Slot, ...]
    tally: int
    """Numbers of the longest tally."""


@lru_cache(maxsize=64)
def compiled(schema: bytes, wanted: Fields) -> Program:
    """Compile the schema that a file was written with.

    Raises:
        SchemaFault: it isn't one, or a wanted field isn't of a type that can be what it is.
    """
    try:
        told = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise SchemaFault(f"its schema is no JSON ({error})") from error
    compiler = _Compiler()
    try:
        compiler.value(told, wanted, 0)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SchemaFault(f"its schema is none of Avro's ({type(error).__name__}: {error})") from error
    return Program((*compiler.words, END), tuple(compiler.slots), compiler.tally)


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """A value that goes where a table says for the key at hand."""

    instruction: int
    table: tuple[tuple[int, int], ...]


class _Compiler:
    """Writes a program front to back."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.slots: list[Slot] = []
        self.tally = 0
        self._named: dict[str, Any] = {}
        self._steps = 0

    def value(self, schema: Any, wanted: Wanted | _LookedUp | None, depth: int) -> None:
        """One value of a type."""
        self._step(depth)
        if isinstance(schema, list):
            self._union(schema, wanted, depth)
            return
        schema, kind = self._resolve(schema)
        if kind == "record":
            self._record(schema, wanted, depth)
        elif kind == "array":
            self._array(schema, wanted, depth)
        elif kind == "map":
            if wanted is not None:
                raise SchemaFault("a wanted field is a map by text")
            self._loop(MAP, lambda: self._map_entry(schema, depth))
        elif kind != "null":
            self._primitive(schema, kind, wanted)

    def _map_entry(self, schema: dict[str, Any], depth: int) -> None:
        self.words.append(SKIP_TEXT)
        self.value(schema["values"], None, depth + 1)

    def _step(self, depth: int) -> None:
        # Types that are named may be used often: a few lines can describe millions of fields.
        self._steps += 1
        if depth > _MOST_DEPTH or self._steps > _MOST_STEPS:
            raise SchemaFault("its schema is nested too deep, or too large")

    def _resolve(self, schema: Any) -> tuple[dict[str, Any], str]:
        if isinstance(schema, str):
            schema = self._named.get(schema, {"type": schema})
        kind = schema["type"]
        if isinstance(kind, dict | list):
            raise SchemaFault("a type of its schema is named twice")
        if kind in ("record", "fixed", "enum") and "name" in schema:
            self._named[schema["name"]] = schema
            self._named[f"{schema.get('namespace', '')}.{schema['name']}".lstrip(".")] = schema
        return schema, kind

    def _union(self, branches: list[Any], wanted: Wanted | _LookedUp | None, depth: int) -> None:
        self.words += [UNION, len(branches), *[0] * len(branches)]
        first, leaving = len(self.words) - len(branches), []
        for index, branch in enumerate(branches):
            self.words[first + index] = len(self.words)
            self.value(branch, wanted, depth + 1)
            self.words += [JUMP, 0]
            leaving.append(len(self.words) - 1)
        for each in leaving:
            self.words[each] = len(self.words)

    def _record(self, schema: dict[str, Any], wanted: Wanted | _LookedUp | None, depth: int) -> None:
        if not isinstance(wanted, Fields | None):
            raise SchemaFault(f"the field for {wanted} is a record")
        chosen, seen = dict(wanted.fields) if wanted else {}, set()
        for field in schema["fields"]:
            number = field.get("field-id")
            target = chosen.get(number)
            if target is None and wanted is not None and wanted.rest is not None and number is not None:
                target = Value(f"{wanted.rest}:{int(number)}")
            if target is not None and number in seen:
                raise SchemaFault(f"two of its fields have the id {number}")
            seen.add(number)
            self.value(field["type"], target, depth + 1)

    def _array(self, schema: dict[str, Any], wanted: Wanted | _LookedUp | None, depth: int) -> None:
        items = schema["items"]
        if self._is_empty(items, 0):
            raise SchemaFault("an array of its schema has elements without bytes")
        if wanted is None:
            self._loop(SKIP_ARRAY, lambda: self.value(items, None, depth + 1))
        elif isinstance(wanted, List):
            if self._resolve(items)[1] not in _INTEGERS:
                raise SchemaFault(f"{wanted.name} is no list of numbers")
            self.words += [LIST, self._slot(Slot(wanted.name, LISTS, 8, "array"))]
        elif isinstance(wanted, Sizes):
            self._sizes(items, wanted, depth)
        elif isinstance(wanted, ByKey):
            kind = (TEXTS, 0, "bytes") if wanted.is_text else (NUMBERS, 8, "long")
            table = [(key, self._slot(Slot(f"{wanted.name}:{key}", *kind))) for key in sorted(wanted.keys)]
            found = _LookedUp(TEXT_OF if wanted.is_text else INT_OF, tuple(table))
            self._loop(ARRAY, lambda: self._pair(items, wanted.key_id, found, depth))
        elif isinstance(wanted, Elements):
            self._loop(ARRAY, lambda: self._element(items, wanted, depth))
        else:
            raise SchemaFault(f"the field for {wanted} is an array")

    def _loop(self, instruction: int, body: Callable[[], object]) -> None:
        self.words += [instruction, 0]
        behind = len(self.words) - 1
        body()
        self.words.append(END)
        self.words[behind] = len(self.words)

    def _pair(self, items: Any, key_id: int, found: _LookedUp, depth: int) -> None:
        """A record of a key and a value."""
        schema, kind = self._resolve(items)
        if kind != "record" or len(schema["fields"]) != 2:  # noqa: PLR2004
            raise SchemaFault("a map by field id is no array of pairs")
        key, value = schema["fields"]
        is_key = not isinstance(key["type"], list) and self._resolve(key["type"])[1] in ("int", "long")
        if not is_key or key.get("field-id", key_id) != key_id:
            raise SchemaFault("a map by field id doesn't begin with a number as its key")
        self.words.append(KEY)
        self.value(value["type"], found, depth + 1)

    def _element(self, items: Any, wanted: Elements, depth: int) -> None:
        schema, kind = self._resolve(items)
        if kind != "record":
            raise SchemaFault("an array of records has other elements")
        chosen = dict(wanted.fields)
        for field in schema["fields"]:
            target = chosen.get(field.get("field-id"))
            if target is None:
                self.value(field["type"], None, depth + 1)
                continue
            is_text = isinstance(target, Text)
            column = (TEXTS, 0, "bytes") if is_text else (NUMBERS, 1, "boolean")
            table = [(index, self._slot(Slot(f"{target.name}:{index}", *column))) for index in range(wanted.count)]
            self.value(field["type"], _LookedUp(TEXT_OF if is_text else RAW_OF, tuple(table)), depth + 1)

    def _sizes(self, items: Any, wanted: Sizes, depth: int) -> None:
        places = sorted((key, place) for place, key in enumerate(wanted.order))
        self.tally = max(self.tally, len(wanted.order))
        self.words += [SIZES, len(wanted.order)]
        self._loop(ARRAY, lambda: self._pair(items, wanted.key_id, _LookedUp(SIZE_OF, tuple(places)), depth))
        total = self._slot(Slot(f"{wanted.name}:all", NUMBERS, 8, "long"))
        self.words += [TALLY, total, len(wanted.keys)]
        for key in sorted(wanted.keys, key=wanted.order.index):
            slots = [self._slot(Slot(f"{wanted.name}:{part}:{key}", NUMBERS, 8, "long")) for part in ("start", "size")]
            self.words += [wanted.order.index(key), *slots]

    def _primitive(self, schema: dict[str, Any], kind: str, wanted: Wanted | _LookedUp | None) -> None:
        if wanted is None:
            self._skip(schema, kind)
            return
        if isinstance(wanted, _LookedUp):
            self._looked_up(kind, wanted)
            return
        logical = _logical(schema)
        if kind in _INTEGERS and isinstance(wanted, Number | Value):
            width = wanted.width if isinstance(wanted, Number) else _INTEGERS[kind]
            self.words += [INT, self._slot(Slot(wanted.name, NUMBERS, width, kind, logical))]
        elif kind in _RAW_BYTES and isinstance(wanted, Value):
            self.words += [RAW, self._slot(Slot(wanted.name, NUMBERS, _RAW_BYTES[kind], kind, logical))]
        elif kind in _TEXTS and isinstance(wanted, Text | Value):
            self.words += [TEXT, self._slot(Slot(wanted.name, TEXTS, 0, kind, logical))]
        elif kind == "fixed" and isinstance(wanted, Text | Value):
            self.words += [EXACT, self._slot(Slot(wanted.name, TEXTS, 0, kind, logical)), _size(schema)]
        else:
            self._skip(schema, kind)  # raises where there is no such type
            raise SchemaFault(f"the field for {wanted} is a {kind}")

    def _looked_up(self, kind: str, wanted: _LookedUp) -> None:
        fits = {TEXT_OF: _TEXTS, RAW_OF: ("boolean",)}.get(wanted.instruction, ("int", "long"))
        if kind not in fits:
            raise SchemaFault(f"a value is a {kind} where {' or '.join(fits)} was expected")
        self.words += [wanted.instruction, len(wanted.table), *(word for pair in wanted.table for word in pair)]

    def _skip(self, schema: dict[str, Any], kind: str) -> None:
        if kind in _INTEGERS:
            self.words.append(SKIP_INT)
        elif kind in _RAW_BYTES:
            self.words += [SKIP_RAW, _RAW_BYTES[kind]]
        elif kind in _TEXTS:
            self.words.append(SKIP_TEXT)
        elif kind == "fixed":
            self.words += [SKIP_RAW, _size(schema)]
        else:
            raise SchemaFault(f"its schema has a type {kind!r}")

    def _slot(self, slot: Slot) -> int:
        known = next((index for index, each in enumerate(self.slots) if each.name == slot.name), None)
        if known is None:
            self.slots.append(slot)
            return len(self.slots) - 1
        if self.slots[known] != slot:  # a union of two types
            raise SchemaFault(f"{slot.name} has two types")
        return known

    def _is_empty(self, schema: Any, depth: int) -> bool:
        """Whether a value can take no bytes."""
        self._step(depth)
        if isinstance(schema, list):
            return False
        schema, kind = self._resolve(schema)
        if kind == "record":
            return all(self._is_empty(field["type"], depth + 1) for field in schema["fields"])
        return kind == "null" or (kind == "fixed" and _size(schema) == 0)


def _size(schema: dict[str, Any]) -> int:
    size = int(schema["size"])
    if not 0 <= size < 2**31:
        raise SchemaFault(f"a type of its schema has {size} bytes")
    return size


def _logical(schema: dict[str, Any]) -> str:
    name = schema.get("logicalType", "")
    return f"decimal({int(schema['precision'])}, {int(schema.get('scale', 0))})" if name == "decimal" else str(name)
