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

__all__ = ["INT96_UNIT", "FileLayout", "Layouts", "file_layout"]

# Moments in INT96 are read as what Iceberg's timestamps are. Nanoseconds of 64 bits, pyarrow's own choice, hold the
# years 1677 to 2262 only, and silently turn others into these.
INT96_UNIT = "us"

# Schemas remembered in one scan: tables have a handful, folders of foreign files may have more.
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The columns of a file."""

    schema: pa.Schema
    """As pyarrow reads the file."""
    leaves: dict[str, tuple[int, ...]]
    """Positions, in file order, of the leaves beneath each top-level column."""
    flat: dict[str, FlatColumn]
    """The columns that are decoded natively; each is a leaf itself."""
    _indices: dict[tuple[str, ...], list[int]] = field(default_factory=dict, compare=False, repr=False)

    def indices(self, columns: tuple[str, ...]) -> list[int]:
        """Positions of the leaves beneath `columns`, in file order; worked out once."""
        found = self._indices.get(columns)
        if found is None:
            found = self._indices[columns] = sorted(leaf for name in columns for leaf in self.leaves[name])
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
    leaves: dict[str, tuple[int, ...]] = dict.fromkeys(schema.names, ())
    for index, name in enumerate(_top_names(parquet, schema.names)):
        leaves[name] += (index,)
    flat: dict[str, FlatColumn] = {}
    for name, kind in zip(schema.names, schema.types, strict=True):
        # Extension types are pyarrow's own: it alone makes them. Two columns of one name have two leaves.
        if len(leaves[name]) == 1 and not isinstance(kind, pa.BaseExtensionType):
            leaf = parquet.column(leaves[name][0])
            found = flat_column(leaf) if leaf.path == name else None
            if found is not None:
                flat[name] = found
    return FileLayout(schema, leaves, flat)


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
