"""Buckets of keys are those of Iceberg's transform, whatever computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import BinaryType, LongType, StringType

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.keyed import buckets as buckets_module
from lakeflow_io.keyed.buckets import bucket_of, buckets_of

KINDS: dict[str, tuple[Any, list[pa.DataType], Any]] = {
    "integer": (st.integers(-(2**63), 2**63 - 1), [pa.int64()], LongType()),
    "small integer": (st.integers(0, 127), [pa.int8(), pa.int32(), pa.uint64()], LongType()),
    "text": (st.text(), [pa.string(), pa.large_string()], StringType()),
    "binary": (st.binary(), [pa.binary(), pa.large_binary()], BinaryType()),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), count=st.integers(1, 2**31 - 1))
def test_buckets_are_icebergs(kind: str, data: st.DataObject, count: int) -> None:
    """One by one and many at once, in C and without it, of every type that holds them, and of slices."""
    values, types, iceberg = KINDS[kind]
    keys = data.draw(st.lists(values, max_size=20))
    wanted = [BucketTransform(count).transform(iceberg)(key) for key in keys]

    assert wanted == [bucket_of(key, count) for key in keys]
    for each in types:
        array = pa.array([*keys[:1], *keys], each).slice(len(keys[:1]))
        assert wanted == buckets_of(array, count).tolist()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(buckets_module, "keyed_library", lambda: None)
            assert wanted == buckets_of(array, count).tolist()


def test_the_examples_of_the_spec() -> None:
    """Appendix B: the hashes of 34, "iceberg" and four bytes."""
    examples: dict[Any, int] = {34: 2017239379, "iceberg": 1210000089, b"\x00\x01\x02\x03": -188683207}

    assert [bucket_of(key, 2**31) for key in examples] == [value & 0x7FFFFFFF for value in examples.values()]


def test_offsets_that_point_anywhere_are_an_error() -> None:
    """Bits of a mapped file may have flipped."""
    offsets = pa.py_buffer(np.array([0, 900, 6], dtype=np.int32))
    keys = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"abcdef")])

    with pytest.raises(CorruptFileError):
        buckets_of(keys, 16)
