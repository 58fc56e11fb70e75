"""What tells one file's schema from another's, without decoding it."""

from __future__ import annotations

import ctypes

import pyarrow as pa

from lakeflow_io.parquet.native.binding import library

__all__ = ["schema_bytes"]

# FileMetaData of parquet.thrift: the schema, and the writer's own schema among the key-value pairs.
_FIELDS = (2, 5)


def schema_bytes(footer: memoryview) -> bytes | None:
    """The encoded schema of a footer; None where the compiled decoder is missing or it doesn't decode."""
    native = library()
    if native is None:
        return None
    source = pa.py_buffer(footer)
    start, length = ctypes.c_int64(), ctypes.c_int64()
    found = []
    for field in _FIELDS:
        if native.lf_struct_field(source.address, source.size, field, ctypes.byref(start), ctypes.byref(length)):
            return None
        found.append(bytes(footer[start.value : start.value + length.value]))
    return b"\0".join(found)
