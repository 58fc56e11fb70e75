"""Any Avro file of any schema: what is wanted comes out as columns, and all else is skipped."""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.iceberg.manifests import binding, columns
from lakeflow_io.iceberg.manifests.wanted import ByKey, Fields, List, Number, Sizes, Text

if TYPE_CHECKING:
    from collections.abc import Callable

CODECS = ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]
PAIRS = {
    "type": "array",
    "items": {
        "type": "record",
        "name": "pair",
        "fields": [{"name": "key", "type": "int", "field-id": 50}, {"name": "value", "type": "bytes", "field-id": 51}],
    },
}


def record(*fields: tuple[int, Any], name: str = "r") -> dict[str, Any]:
    """A record by field ids; names say nothing."""
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{i}", "type": kind, "field-id": number} for i, (number, kind) in enumerate(fields)],
    }


def doubled(times: int) -> Any:
    """A few lines that describe millions of fields."""
    made: Any = {"type": "record", "name": "r0", "fields": [{"name": "a", "type": "null"}]}
    for i in range(1, times):
        made = record((2, made), (3, f"r{i - 1}"), name=f"r{i}")
    return made


def test_the_library_has_it() -> None:
    """The environment that runs the tests has the compiled decoder: a silent fallback would hide it."""
    assert binding.avro_library() is not None


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec(codec: str, avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """Numbers, text, lists and nulls are the same in each codec that Avro lists."""
    schema = record((1, ["null", "long"]), (2, "string"), (3, [{"type": "array", "items": "int"}, "null"]))
    rows = [
        [(0, None) if i % 3 else (1, i - 5), b"t" * (i % 40), (0, [i, -i]) if i % 2 else (1, None)] for i in range(90)
    ]

    found = decode(
        avro_file(schema, rows, codec, 20).bytes(), Fields(((1, Number("n")), (2, Text("s")), (3, List("l"))))
    )

    assert found.rows == 90
    assert found.arrays["n"].to_pylist() == [None if i % 3 else i - 5 for i in range(90)]
    assert found.arrays["s"].to_pylist() == [b"t" * (i % 40) for i in range(90)]
    assert found.arrays["l"].to_pylist() == [[i, -i] if i % 2 else None for i in range(90)]


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=5000), level=st.integers(0, 9), strategy=st.integers(0, 4), repeats=st.integers(0, 3))
def test_deflate_is_zlibs(avro_file: Any, data: bytes, level: int, strategy: int, repeats: int) -> None:
    """Whatever zlib compresses, by any level and strategy, comes out."""
    data = data * (1 + 20 * repeats)
    stream = zlib.compressobj(level, wbits=-15, strategy=strategy)
    block = stream.compress(data) + stream.flush()
    schema = record((1, {"type": "fixed", "name": "x", "size": len(data)}))
    file = avro_file.framed(avro_file.header(schema, "deflate"), [(1 if data else 0, block)])

    found = columns.decode_avro("f", memoryview(file), Fields(((1, Text("x")),)), ())

    assert column(found, "x", found.rows) == ([data] if data else [])


PRIMITIVES = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])


@st.composite
def schemas(draw: st.DrawFn, depth: int = 0) -> Any:
    """Any type."""
    kind = draw(st.integers(0, 6 if depth < 3 else 1))
    name = f"n{draw(st.integers(0, 2**60))}"
    if kind <= 1:
        return draw(PRIMITIVES)
    if kind == 2:
        return {"type": "fixed", "name": name, "size": draw(st.integers(0, 9))}
    if kind == 3:
        branches = draw(st.lists(PRIMITIVES, min_size=1, max_size=3, unique=True))
        return [
            *branches,
            draw(schemas(depth=3)) if draw(st.booleans()) else {"type": "enum", "name": name, "symbols": ["a"]},
        ]
    if kind == 4:
        return {"type": "map", "values": draw(schemas(depth=depth + 1))}
    inner = draw(st.lists(schemas(depth=depth + 1), min_size=1, max_size=3))
    made = record(*((draw(st.integers(100, 2**40)), each) for each in inner), name=name)
    return (
        made
        if kind == 5
        else {"type": "array", "items": {**made, "fields": [*made["fields"], {"name": "z", "type": "int"}]}}
    )


def value(schema: Any, luck: random.Random) -> Any:
    """Some value of a type."""
    if isinstance(schema, list):
        branch = luck.randrange(len(schema))
        return branch, value(schema[branch], luck)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        return [value(each["type"], luck) for each in schema["fields"]]
    if kind == "array":
        return [value(schema["items"], luck) for _ in range(luck.randrange(4))]
    if kind == "map":
        return {b"k%d" % i: value(schema["values"], luck) for i in range(luck.randrange(4))}
    if kind == "fixed":
        return luck.randbytes(schema["size"])
    simple = {
        "null": None, "boolean": luck.random() < 0.5, "int": luck.randrange(-(2**31), 2**31), "enum": 0,
        "long": luck.choice([0, 63, 64, -1, -(2**63), 2**63 - 1]), "float": 1.5, "double": -0.5,
        "bytes": luck.randbytes(luck.randrange(5)), "string": b"text",
    }  # fmt: skip
    return simple[kind]


@settings(max_examples=300, deadline=None)
@given(others=st.lists(schemas(), min_size=1, max_size=6), seed=st.integers(0, 2**32), place=st.integers(0, 5))
def test_anything_else_is_skipped(avro_file: Any, others: list[Any], seed: int, place: int) -> None:
    """Between fields of any types, a wanted one is found, by both decoders alike."""
    luck = random.Random(seed)
    kinds: list[tuple[int, Any]] = [(200 + i, each) for i, each in enumerate(others)]
    kinds.insert(place, (1, ["null", "long"]))
    kinds.append((2, PAIRS))
    schema = record(*kinds)
    rows = [value(schema, luck) for _ in range(7)]
    at = kinds.index((1, ["null", "long"]))
    for row in rows:
        row[-1] = [[luck.randrange(6), luck.randbytes(3)] for _ in range(luck.randrange(6))]
    data = memoryview(avro_file(schema, rows).bytes())
    wanted = Fields(((1, Number("n")), (2, ByKey("m", 50, (1, 4, 9), is_text=True))))

    found = columns.decode_avro("f", data, wanted, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "avro_library", lambda: None)
        interpreted = columns.decode_avro("f", data, wanted, ())

    for each in (found, interpreted):
        assert column(each, "n", 7) == [row[at][1] for row in rows]
        for key in (1, 4, 9):
            assert column(each, f"m:{key}", 7) == [dict(row[-1]).get(key) for row in rows]


def column(found: columns.Columns, name: str, rows: int) -> list[Any]:
    """A column's values; nulls where it isn't there."""
    return found.arrays[name].to_pylist() if name in found.arrays else [None] * rows


def test_every_primitive_is_a_column(avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """Values of partitions keep their own types, and logical types are told."""
    kinds = [
        "boolean", "int", "long", "float", "double", "string", "bytes", {"type": "fixed", "name": "x", "size": 2},
        {"type": "int", "logicalType": "date"},
        {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    ]  # fmt: skip
    values = [True, -7, 2**40, 1.5, -0.0, b"t", b"\0", b"ab", 3, b"\1"]
    schema = record(*((1000 + i, ["null", kind]) for i, kind in enumerate(kinds)))
    rows = [[(1, each) for each in values], [(0, None)] * len(values)]

    found = decode(avro_file(schema, rows).bytes(), Fields(rest="p"))

    assert [found.arrays[f"p:{1000 + i}"].to_pylist() for i in range(len(kinds))] == [[each, None] for each in values]
    assert struct.pack("<d", found.arrays["p:1004"][0].as_py()) == struct.pack("<d", -0.0)
    assert found.slots["p:1008"].logical == "date"
    assert found.slots["p:1009"].logical == "decimal(9, 2)"


def test_sizes_are_added_up_in_their_order(avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """Each wanted thing begins behind all that lie before it; what is negative or missing takes no room."""
    sizes = {"type": "array", "items": record((50, "int"), (51, "long"), name="pair")}
    schema = record((1, ["null", sizes]))
    rows = [[(1, [[3, 30], [1, 10], [2, 20]])], [(1, [[2, -5], [3, 7], [8, 100]])], [(0, None)], [(1, [])]]

    found = decode(avro_file(schema, rows).bytes(), Fields(((1, Sizes("c", 50, (2, 1, 3), (1, 3))),)))

    got = {name: found.arrays[name].to_pylist() for name in ("c:all", "c:start:1", "c:size:1", "c:start:3", "c:size:3")}
    assert got == {
        "c:all": [60, 7, None, 0],
        "c:start:1": [20, 0, None, 0],
        "c:size:1": [10, 0, None, 0],
        "c:start:3": [30, 0, None, 0],
        "c:size:3": [30, 7, None, 0],
    }


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (record((1, "string")), "f"),
        (record((1, {"type": "array", "items": "long"})), "array"),
        (record((1, "long"), (1, "long")), "two of its fields"),
        (record((1, ["int", "long"])), "two types"),
        (record((1, "money")), "money"),
        (record((1, "long"), (2, {"type": "array", "items": "null"})), "without bytes"),
        (record((1, "long"), (2, {"type": "fixed", "name": "x", "size": 2**40})), "bytes"),
        (record((1, "long"), (2, {"type": "fixed", "name": "x", "size": -1})), "bytes"),
        ({"type": "record", "name": "r", "fields": [{"name": "a", "type": "r", "field-id": 3}]}, "too deep"),
        (doubled(20), "too large"),
        ({"type": "record", "name": "r"}, "none of Avro's"),
        ("long", "long"),
        ([1, 2], "none of Avro's"),
        (record((1, {"type": "map", "values": "long"})), "map by text"),
    ],
)
def test_a_schema_that_is_wrong(schema: Any, says: str, avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """It is refused, and the file named; nothing is decoded as what it isn't."""
    data = avro_file(schema, []).bytes()

    with pytest.raises(CorruptFileError, match=says) as caught:
        decode(data, Fields(((1, Number("n")),)))

    assert "memory://t/m.avro" in caught.value.message


def test_what_must_be_there(avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """A required column that the schema lacks, or that is null in a record, is damage."""
    file = avro_file(record((1, ["null", "long"])), [[(1, 4)], [(0, None)]]).bytes()

    with pytest.raises(CorruptFileError, match="has no n"):
        decode(file, Fields(((1, Number("n")),)), ("n",))
    with pytest.raises(CorruptFileError, match="has no path"):
        decode(file, Fields(((1, Number("n")), (9, Text("path")))), ("path",))


@pytest.mark.parametrize("width", [1, 4])
def test_a_number_that_is_too_large(width: int, avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """Nothing is cut to the width of its column."""
    most = 2 ** (8 * width - 1)
    schema = record((1, "long"))
    wanted = Fields(((1, Number("n", width)),))

    fits = decode(avro_file(schema, [[most - 1], [-most]]).bytes(), wanted)

    assert fits.arrays["n"].to_pylist() == [most - 1, -most]
    for wrong in (most, -most - 1):
        with pytest.raises(CorruptFileError):
            decode(avro_file(schema, [[wrong]]).bytes(), wanted)


def test_an_unknown_codec(avro_file: Any, decode: Callable[..., columns.Columns]) -> None:
    """Its name is told."""
    with pytest.raises(UnsupportedError, match="lzo"):
        decode(avro_file(record((1, "long")), [[1]], "lzo").bytes(), Fields())


@pytest.fixture(params=CODECS)
def two_blocks(request: pytest.FixtureRequest, avro_file: Any) -> bytes:
    """Twelve records in two blocks, in each codec."""
    schema = record((1, "long"), (2, "string"), (3, {"type": "array", "items": "long"}))
    rows = [[i, b"text %d" % i, [i] * (i % 5)] for i in range(12)]
    return avro_file(schema, rows, request.param, 6).bytes()


def rows_of(damaged: bytes, decode: Callable[..., columns.Columns]) -> int | None:
    """How many records are found; None where the file is refused by name."""
    try:
        found = decode(damaged, Fields(((1, Number("n")), (2, Text("s")), (3, List("l")))))
    except (CorruptFileError, UnsupportedError) as error:
        assert "memory://t/m.avro" in error.message  # noqa: PT017  (some damage is none)
        return None
    for array in found.arrays.values():
        assert len(array) == found.rows
        array.validate(full=True)
    return found.rows


def test_a_file_that_is_cut_is_refused(two_blocks: bytes, decode: Callable[..., columns.Columns]) -> None:
    """Anywhere but behind the header or a block: there it is a shorter file, and who knows its length refuses it."""
    found = [rows_of(two_blocks[:cut], decode) for cut in range(len(two_blocks))]

    assert [rows for rows in found if rows is not None] == [0, 6]


def test_a_changed_byte_loses_no_record(two_blocks: bytes, decode: Callable[..., columns.Columns]) -> None:
    """The file is refused by name, or has as many records."""
    luck, refused = random.Random(len(two_blocks)), 0
    for _ in range(300):
        at = luck.randrange(len(two_blocks))
        changed = two_blocks[:at] + bytes([luck.choice([0, 1, 0x7F, 0x80, 0xFF])]) + two_blocks[at + 1 :]

        rows = rows_of(changed, decode)

        refused += rows is None
        assert rows in (None, 12)
    assert refused > 100
