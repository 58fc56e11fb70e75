"""One Avro file -> Arrow columns of what is wanted, by the compiled decoder or without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.avro.container import damaged, open_container
from lakeflow_io.iceberg.manifests.binding import CODECS, Decoded, avro_library
from lakeflow_io.iceberg.manifests.interpret import interpreted
from lakeflow_io.iceberg.manifests.program import LISTS, NUMBERS, SchemaFault, compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.avro.container import Container
    from lakeflow_io.iceberg.manifests.program import Program, Slot
    from lakeflow_io.iceberg.manifests.wanted import Fields

__all__ = ["Columns", "decode_avro"]

_NUMBERS = {
    "float": pa.float32(), "double": pa.float64(), "boolean": pa.int8(),
    1: pa.int8(), 4: pa.int32(), 8: pa.int64(),
}  # fmt: skip


class Columns:
    """Columns by name; one that is null in every record, or that records have not, isn't there.

    Args:
        rows: Records.
        arrays: The columns: integers, floats, binary, lists of 64-bit integers; booleans as 8-bit integers.
        slots: Of which Avro type each is.
    """

    __slots__ = ("arrays", "rows", "slots")

    def __init__(self, rows: int, arrays: dict[str, pa.Array], slots: dict[str, Slot]) -> None:
        self.rows, self.arrays, self.slots = rows, arrays, slots


def decode_avro(uri: str, data: memoryview, wanted: Fields, required: Sequence[str]) -> Columns:
    """Decode all records of a file.

    Args:
        uri: Its name, for errors.
        data: All of it.
        wanted: What of the records.
        required: Columns that must have a value in every record.

    Raises:
        CorruptFileError: the file is damaged, or isn't what it has to be; names it.
        UnsupportedError: its codec is unknown.
    """
    container = open_container(uri, data)
    try:
        program = compiled(container.schema, wanted)
    except SchemaFault as fault:
        raise damaged(uri, str(fault)) from fault
    found = _native(container, program) or _interpreted(container, program)
    for name in required:
        array = found.arrays.get(name)
        if found.rows and (array is None or array.null_count):
            raise damaged(uri, f"a record has no {name}")
    return found


def _native(container: Container, program: Program) -> Columns | None:
    native = avro_library()
    if native is None:
        return None
    if container.codec not in CODECS:
        container = container.decompressed()
    decoded = Decoded(native, program)
    wrong = decoded.decode(container.body, CODECS[container.codec], container.sync)
    if wrong:
        raise damaged(container.uri, wrong)
    found = {}
    for index, slot in enumerate(program.slots):
        array = decoded.column(index, _arrow_type(slot))
        if array is not None:
            found[slot.name] = array
    return Columns(decoded.rows, found, {slot.name: slot for slot in program.slots})


def _interpreted(container: Container, program: Program) -> Columns:
    try:
        columns, rows = interpreted(program, container.blocks())
    except (ValueError, IndexError) as error:
        raise damaged(container.uri, "a block is damaged") from error
    found: dict[str, Any] = {}
    for slot, values in zip(program.slots, columns, strict=True):
        array = pa.array(values, _arrow_type(slot))
        if array.null_count < rows:
            found[slot.name] = array
    return Columns(rows, found, {slot.name: slot for slot in program.slots})


def _arrow_type(slot: Slot) -> pa.DataType:
    if slot.kind == NUMBERS:
        return _NUMBERS.get(slot.type) or _NUMBERS[slot.width]
    return pa.list_(pa.int64()) if slot.kind == LISTS else pa.binary()
