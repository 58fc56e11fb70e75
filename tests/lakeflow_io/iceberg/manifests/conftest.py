"""Avro files made by hand, and both decoders."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow_io.iceberg.manifests import columns

if TYPE_CHECKING:
    from collections.abc import Callable

SYNC = bytes(range(16))


def long(value: int) -> bytes:
    """A zigzag variable-length integer."""
    rest, found = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


def text(data: bytes) -> bytes:
    """Bytes with their length."""
    return long(len(data)) + data


def encoded(schema: Any, value: Any) -> bytes:
    """A value in Avro's binary form; of a union `(branch, value)`, of a map a dict, of a record a list of fields."""
    if isinstance(schema, list):
        return long(value[0]) + encoded(schema[value[0]], value[1])
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "null":
        return b""
    if kind == "boolean":
        return bytes([value])
    if kind in ("int", "long", "enum"):
        return long(value)
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", value)
    if kind in ("bytes", "string"):
        return text(value)
    if kind == "fixed":
        return bytes(value)
    if kind == "record":
        return b"".join(encoded(each["type"], one) for each, one in zip(schema["fields"], value, strict=True))
    if kind == "map":
        items = [text(key) + encoded(schema["values"], each) for key, each in value.items()]
    else:
        items = [encoded(schema["items"], each) for each in value]
    if not items:
        return long(0)
    # In two parts, the second of which states its size.
    cut = len(items) // 2
    first = long(cut) + b"".join(items[:cut]) if cut else b""
    rest = b"".join(items[cut:])
    return first + long(-(len(items) - cut)) + long(len(rest)) + rest + long(0)


def compressed(codec: str, data: bytes) -> bytes:
    """A block in a codec of Avro."""
    if codec == "deflate":
        stream = zlib.compressobj(wbits=-15)
        return stream.compress(data) + stream.flush()
    if codec == "snappy":
        return pa.Codec("snappy").compress(data).to_pybytes() + zlib.crc32(data).to_bytes(4, "big")
    if codec == "zstandard":
        return bytes(pa.Codec("zstd").compress(data).to_pybytes())
    if codec in ("bzip2", "xz"):
        import bz2
        import lzma

        return bz2.compress(data) if codec == "bzip2" else lzma.compress(data)
    return data


def header(schema: Any, codec: str = "null") -> bytes:
    """What an Avro file begins with."""
    told = {b"avro.schema": json.dumps(schema).encode(), b"avro.codec": codec.encode()}
    return b"Obj\x01" + long(2) + b"".join(text(key) + text(value) for key, value in told.items()) + long(0) + SYNC


@dataclass
class AvroFile:
    """An Avro file of records, some to a block."""

    schema: Any
    records: list[Any]
    codec: str = "null"
    per_block: int = 3
    blocks: list[tuple[int, bytes]] = field(default_factory=list)

    def bytes(self) -> bytes:
        """All of it."""
        for at in range(0, len(self.records), self.per_block):
            some = self.records[at : at + self.per_block]
            self.blocks.append((len(some), b"".join(encoded(self.schema, each) for each in some)))
        blocks = [(count, compressed(self.codec, data)) for count, data in self.blocks]
        return self.framed(header(self.schema, self.codec), blocks)

    @staticmethod
    def framed(head: bytes, blocks: list[tuple[int, bytes]]) -> bytes:
        """A header and blocks that are compressed already."""
        return head + b"".join(long(count) + text(data) + SYNC for count, data in blocks)

    @staticmethod
    def header(schema: Any, codec: str) -> bytes:
        """What a file begins with."""
        return header(schema, codec)


@pytest.fixture(scope="session")
def avro_file() -> type[AvroFile]:
    """A maker of Avro files: `avro_file(schema, records, codec).bytes()`."""
    return AvroFile


@pytest.fixture(params=["compiled", "python"])
def decode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., columns.Columns]:
    """`decode_avro` by either decoder."""
    if request.param == "python":
        monkeypatch.setattr(columns, "avro_library", lambda: None)
    return lambda data, wanted, required=(): columns.decode_avro(
        "memory://t/m.avro", memoryview(data), wanted, required
    )
