"""A footer's own bytes, looked at before it is decoded: what tells schemas apart, and what is wrong with it.

pyarrow decodes a footer and trusts it from then on: a column chunk that isn't as its schema says, by a
single damaged byte, ends the process where it is first looked at (a C++ exception that no Python
code can catch; pyarrow 26).
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

from lakeflow_io.parquet.native.binding import LEAF_BYTES, Fault, library

__all__ = ["ENCRYPTED", "footer_fault", "schema_bytes"]

# FileMetaData of parquet.thrift: the schema, and the writer's own schema among the key-value pairs.
_FIELDS = (2, 5)
# What `lf_fault` says.
_FAULTS = {
    1: "it doesn't decode",
    2: "it doesn't describe each column",
    3: "the type isn't the schema's",
    4: "there is no such codec",
    5: "its levels aren't the schema's",
    6: "a bound is shorter than its type",
}
ENCRYPTED = 7


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


def footer_fault(footer: memoryview, columns: int) -> str | int | None:
    """What would end the process if pyarrow looked at it.

    Args:
        footer: Its bytes.
        columns: Leaf columns of its schema, which pyarrow has decoded.

    Returns:
        What is wrong, for people; `ENCRYPTED` where a column is encrypted; None where nothing is, or
        the compiled decoder is missing.
    """
    native = library()
    if native is None:
        return None
    source, leaves, fault = pa.py_buffer(footer), bytearray(LEAF_BYTES * columns), Fault()
    room = (ctypes.c_char * len(leaves)).from_buffer(leaves)
    if not native.lf_check_footer(source.address, source.size, room, columns, ctypes.byref(fault)):
        return None
    if fault.kind == ENCRYPTED:
        return ENCRYPTED
    where = f" (column {fault.column} of row group {fault.row_group})" if fault.row_group >= 0 else ""
    return f"{_FAULTS[fault.kind]}{where}"
