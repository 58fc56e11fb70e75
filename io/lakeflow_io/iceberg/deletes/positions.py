"""A position delete file -> the positions of deleted rows, by data file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from lakeflow_io.iceberg.deletes.contents import contents_of, damaged
from lakeflow_io.iceberg.deletes.paths import same_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["DeletedPositions", "deleted_from", "merged"]

# Reserved field ids: https://iceberg.apache.org/spec/#reserved-field-ids
_COLUMNS = {"file_path": b"2147483546", "pos": b"2147483545"}
_NONE = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class DeletedPositions:
    """What one position delete file says of the data files that a scan reads."""

    by_file: Mapping[str, NDArray[np.uint64]] = field(repr=False)
    """Ascending, by `same_object` of the data file's path."""
    elsewhere: int
    """Deletes in other data files."""

    @property
    def bytes(self) -> int:
        """Of memory."""
        return sum(positions.nbytes for positions in self.by_file.values())

    @classmethod
    def of(cls, delete: DeleteFile, data: FetchedRanges, wanted: Collection[str]) -> DeletedPositions:
        """Decode a file, a row group at a time.

        Args:
            delete: The file.
            data: All of its bytes.
            wanted: The data files that are read, from `same_object`.

        Raises:
            CorruptFileError: it doesn't decode, or lacks a path or a position.
        """
        contents = contents_of(delete, data)
        path, position = _names(contents.schema, delete.path)
        found: dict[str, list[NDArray[np.uint64]]] = {}
        total = kept = 0
        for group in contents.tables([path, position], [path]):
            total += group.num_rows
            kept += _collect(group.column(path), group.column(position), delete.path, wanted, found)
        if total < delete.rows:
            raise damaged(delete.path, f"has {total} deletes, not {delete.rows} as its manifest says.")
        return cls({name: _ascending(parts) for name, parts in found.items()}, total - kept)


def deleted_from(delete: DeleteFile, data: FetchedRanges) -> set[str]:
    """The data files that a position delete file is about, from `same_object`.

    Raises:
        CorruptFileError: it doesn't decode, or has no paths.
    """
    contents = contents_of(delete, data)
    path, _ = _names(contents.schema, delete.path)
    found: set[str] = set()
    for group in contents.tables([path], [path]):
        found.update(group[path].unique().to_pylist())
    return {same_object(each) for each in found}


def merged(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64] | None:
    """Positions of one data file out of several delete files, ascending, each once; None for none."""
    return _ascending([part for part in parts if len(part)]) if any(len(part) for part in parts) else None


def _ascending(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else _NONE
    return whole if (whole[1:] > whole[:-1]).all() else np.unique(whole)


def _names(schema: pa.Schema, path: str) -> list[str]:
    """What the two columns are called in a file: by field id, or by name where it has no ids."""
    found = []
    for name, field_id in _COLUMNS.items():
        named = [each.name for each in schema if (each.metadata or {}).get(b"PARQUET:field_id") == field_id]
        named = named or [each.name for each in schema if each.name == name]
        if len(named) != 1:
            raise damaged(path, f"has no column {name}.")
        found.append(named[0])
    text, number = (schema.field(name).type for name in found)
    if not (kinds.is_string(text) or kinds.is_large_string(text)) or not kinds.is_integer(number):
        raise damaged(path, f"holds {text} and {number}, not paths and positions.")
    return found


def _collect(
    paths: pa.ChunkedArray,
    positions: pa.ChunkedArray,
    uri: str,
    wanted: Collection[str],
    found: dict[str, list[NDArray[np.uint64]]],
) -> int:
    """Sort the rows of a row group into their data files; returns how many are in wanted ones."""
    if paths.null_count or positions.null_count:
        raise damaged(uri, "has a delete without a path or a position.")
    at = positions.cast(pa.int64()).to_numpy()
    if len(at) and at.min() < 0:
        raise damaged(uri, f"deletes row {at.min()}.")
    start = kept = 0
    for chunk in paths.chunks:
        encoded = chunk if isinstance(chunk, pa.DictionaryArray) else chunk.dictionary_encode()
        try:
            encoded.validate(full=True)
        except pa.ArrowInvalid as error:
            raise damaged(uri, f"has a dictionary that does not fit its rows: {error}") from error
        own = at[start : start + len(encoded)].view(np.uint64)
        start += len(encoded)
        names = [same_object(each) for each in encoded.dictionary.to_pylist()]
        # Two spellings of a path are one file.
        slots = {name: slot for slot, name in enumerate(dict.fromkeys(each for each in names if each in wanted))}
        if not slots:
            continue
        slot = np.array([slots.get(name, -1) for name in names], np.int32)[encoded.indices.to_numpy()]
        if (slot < 0).any():
            own, slot = own[slot >= 0], slot[slot >= 0]
        if (slot[1:] < slot[:-1]).any():
            order = np.argsort(slot, kind="stable")
            own, slot = own[order], slot[order]
        kept += len(slot)
        edges = np.searchsorted(slot, np.arange(len(slots) + 1))
        for name, index in slots.items():
            part = own[edges[index] : edges[index + 1]]
            if len(part):
                found.setdefault(name, []).append(part)
    return kept
