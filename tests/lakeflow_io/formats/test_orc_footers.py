"""ORC's footers: every codec, and what can't be one."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.orc.codecs import decompressed
from lakeflow_io.orc.protobuf import Message

if TYPE_CHECKING:
    from collections.abc import Callable


def deflate(data: bytes) -> bytes:
    """Without a header, as ORC has it."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


COMPRESS: dict[int, Callable[[bytes], Any]] = {
    1: deflate,
    2: lambda data: pa.Codec("snappy").compress(data, asbytes=True),
    4: lambda data: pa.Codec("lz4_raw").compress(data, asbytes=True),
    5: lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}


@pytest.mark.parametrize("codec", COMPRESS)
@given(parts=st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=3))
def test_chunks_of_every_codec(codec: int, parts: list[tuple[bytes, bool]]) -> None:
    """Each chunk is compressed, or stands as it was."""
    encoded = b""
    for part, stored in parts:
        chunk = part if stored else COMPRESS[codec](part * 50)
        encoded += (len(chunk) << 1 | stored).to_bytes(3, "little") + chunk

    found = decompressed(memoryview(encoded), codec)

    assert bytes(found) == b"".join(part if stored else part * 50 for part, stored in parts)


@pytest.mark.parametrize("codec", COMPRESS)
@given(data=st.binary(max_size=60))
def test_bytes_that_are_none_are_told(codec: int, data: bytes) -> None:
    """Damage is one of a few errors, whatever it is."""
    try:
        decompressed(memoryview(data), codec)
    except (ValueError, OSError, pa.ArrowException) as error:
        assert str(error)  # noqa: PT017  (there may be none)


@given(data=st.binary(max_size=60))
def test_messages_that_are_none_are_told(data: bytes) -> None:
    """The same for what is in a footer."""
    try:
        Message(memoryview(data))
    except ValueError as error:
        assert str(error)  # noqa: PT017  (there may be none)
