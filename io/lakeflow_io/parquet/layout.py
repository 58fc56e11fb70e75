"""What a file's schema says about decoding it: worked out once for all files of one writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.parquet.native.flat import FlatColumn, flat_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.parquet.footer import Footer

__all__ = ["INT96_UNIT", "FileLayout", "Layouts", "Leaf", "file_layout"]

# Moments in INT96 are read as what Iceberg's timestamps are. Nanoseconds of 64 bits, pyarrow's own choice, hold the
# years 1677 to 2262 only, and silently turn others into these.
INT96_UNIT = "us"

# Schemas remembered in one scan: tables have a handful, folders of foreign files may have more.
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Leaf:
    """One column of values in a file."""

    index: int
    flat: FlatColumn | None
    """How it is decoded natively; None: pyarrow decodes it."""


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The columns of a file."""

    schema: pa.Schema
    """As pyarrow reads the file."""
    leaves: dict[str, tuple[Leaf, ...]]
    """Leaves beneath each top-level column."""
    flat: dict[str, Leaf]
    """The columns that are decoded natively."""

    _indices: dict[tuple[str, ...], list[int]] = field(default_factory=dict, compare=False)

    def indices(self, columns: tuple[str, ...]) -> list[int]:
        """Positions of the leaves beneath `columns`, in file order; worked out once."""
        found = self._indices.get(columns)
        if found is None:
            found = self._indices[columns] = sorted(leaf.index for name in columns for leaf in self.leaves[name])
        return found


def file_layout(footer: Footer) -> FileLayout:
    """Look at every column of a file.

    Raises:
        UnsupportedError: it has a type that Arrow lacks.
    """
    parquet = footer.metadata.schema
    try:
        schema = _arrow_schema(footer.metadata)
    except pa.ArrowException as error:
        raise UnsupportedError(
            f"The columns of {footer.uri} have no Arrow types: {error}", "rewrite the file."
        ) from error
    kinds = dict(zip(schema.names, schema.types, strict=True))
    leaves: dict[str, list[Leaf]] = {name: [] for name in schema.names}
    for index, name in enumerate(_top_names(parquet, schema.names)):
        flat = flat_column(parquet.column(index)) if parquet.column(index).path == name else None
        # Extension types are pyarrow's own: it alone makes them.
        plain = flat is not None and not isinstance(kinds[name], pa.BaseExtensionType)
        leaves[name].append(Leaf(index, flat if plain else None))
    native = {name: found[0] for name, found in leaves.items() if len(found) == 1 and found[0].flat is not None}
    return FileLayout(schema, {name: tuple(found) for name, found in leaves.items()}, native)


def _arrow_schema(metadata: Any) -> pa.Schema:
    parquet = metadata.schema
    if all(parquet.column(index).physical_type != "INT96" for index in range(len(parquet))):
        return parquet.to_arrow_schema()
    # Only a file object tells what INT96 becomes; one without any bytes will do.
    nothing = pa.BufferReader(b"")
    return pq.ParquetFile(nothing, metadata=metadata, coerce_int96_timestamp_unit=INT96_UNIT).schema_arrow


def _top_names(parquet: Any, names: Sequence[str]) -> list[str]:
    """The top-level column of each leaf: a dot may be part of a name, so paths can't just be split."""
    found: list[str] = []
    ordered = list(names)
    position = 0
    for index in range(len(parquet)):
        path = parquet.column(index).path
        # Leaves come in the order of the columns that they are beneath.
        while not (path == ordered[position] or path.startswith(ordered[position] + ".")):
            position += 1
        found.append(ordered[position])
    return found


class Layouts:
    """Layouts of the schemas that a scan has met."""

    def __init__(self) -> None:
        self._known: dict[bytes, FileLayout] = {}

    def of(self, footer: Footer) -> FileLayout:
        """The layout of a file; looked up where its schema was met before."""
        key = footer.schema_bytes
        if key is None:
            return file_layout(footer)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = file_layout(footer)
        return found
