"""One manifest -> its live entries, with what they inherit: https://iceberg.apache.org/spec/#manifest-entry-fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeflow_io.avro.container import damaged
from lakeflow_io.iceberg.manifests.columns import decode_avro
from lakeflow_io.iceberg.manifests.listing import DELETES
from lakeflow_io.iceberg.manifests.wanted import ByKey, Fields, List, Number, Sizes, Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lakeflow_io.iceberg.manifests.listing import ManifestFile
    from lakeflow_io.iceberg.manifests.program import Slot
    from lakeflow_io.iceberg.manifests.wanted import Wanted

__all__ = ["ADDED", "POSITION_PATH", "Entries", "Extras", "read_manifest", "wanted_of_entries"]

ADDED, _DELETED = 1, 2
_CONTENTS = 3
POSITION_PATH = 2147483546
"""The field id of a position delete's `file_path`: https://iceberg.apache.org/spec/#reserved-field-ids."""
# Of which a value is there in every entry.
_REQUIRED = ("status", "path", "format", "rows", "size")


@dataclass(frozen=True, slots=True)
class Extras:
    """What is decoded of entries besides what every plan needs."""

    bounds: frozenset[int] = frozenset()
    """Field ids of columns whose counts and bounds are wanted."""
    order: tuple[int, ...] = ()
    """All leaf columns, as files have them; where it is empty, column sizes aren't wanted."""
    sizes: tuple[int, ...] = ()
    """Those whose place in the file is wanted."""

    def covers(self, other: Extras) -> bool:
        """Whether all that `other` wants is here."""
        return self.bounds >= other.bounds and other.order in ((), self.order) and set(self.sizes) >= set(other.sizes)

    def union(self, other: Extras) -> Extras:
        """What covers both; of column sizes by two orders, those of this one."""
        bounds = self.bounds | other.bounds
        if self.order and other.order not in ((), self.order):
            return replace(self, bounds=bounds)
        sizes = set(self.sizes) | set(other.sizes)
        order = self.order or other.order
        return Extras(bounds, order, tuple(each for each in order if each in sizes))


@dataclass(frozen=True, slots=True)
class Entries:
    """The live entries of one manifest.

    Its columns: status, snapshot_id, sequence, content, path, format, rows, size, splits, equality_ids,
    referenced, content_offset, content_size, `partition:<field id>`, and by column id `values:`, `nulls:`,
    `nans:`, `lower:`, `upper:`, `chunk:start:`, `chunk:size:`; `chunk:all`. One that is null throughout isn't there.
    """

    manifest: ManifestFile
    count: int
    arrays: dict[str, pa.Array]
    slots: dict[str, Slot]
    """Of which Avro type each column is."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(array.nbytes for array in self.arrays.values())

    def filtered(self, mask: NDArray[np.bool_]) -> Entries:
        """Those for which `mask` is true."""
        kept = int(mask.sum())
        if kept == self.count:
            return self
        chosen = pa.array(mask)
        return replace(self, count=kept, arrays={name: each.filter(chosen) for name, each in self.arrays.items()})

    def numbers(self, name: str, default: int = 0) -> NDArray[np.int64]:
        """A column of integers, with something in place of nulls."""
        array = self.arrays.get(name)
        if array is None:
            return np.full(self.count, default, np.int64)
        filled = array.fill_null(default) if array.null_count else array
        return filled.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)


def read_manifest(manifest: ManifestFile, data: memoryview, extras: Extras) -> Entries:
    """Decode a manifest.

    Raises:
        CorruptFileError: it is damaged; names it.
    """
    uri = manifest.path
    if len(data) < manifest.length:
        raise damaged(uri, f"it has {len(data)} bytes rather than {manifest.length}")
    bounds = sorted(extras.bounds | ({POSITION_PATH} if manifest.content == DELETES else set()))
    found = decode_avro(uri, data, wanted_of_entries(tuple(bounds), extras), _REQUIRED)
    entries = Entries(manifest, found.rows, found.arrays, found.slots)
    if not found.rows:
        return entries
    status, content = entries.numbers("status"), entries.numbers("content")
    if status.min() < 0 or status.max() > _DELETED or content.min() < 0 or content.max() >= _CONTENTS:
        raise damaged(uri, "an entry has a status or content that none has")
    live = _inherited(entries, status).filtered(status != _DELETED)
    live.arrays["path"] = _text(uri, live, "path")
    for name in ("format", "referenced", *live.slots):
        if name in ("format", "referenced") or (name.startswith("partition:") and live.slots[name].type == "string"):
            _text(uri, live, name)  # decoded when somebody looks, who could not say where it stood
    return live


def _text(uri: str, entries: Entries, name: str) -> pa.Array | None:
    array = entries.arrays.get(name)
    try:
        return None if array is None else array.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise damaged(uri, f"the {name.partition(':')[0]} of an entry is no text") from error


def _inherited(entries: Entries, status: NDArray[np.int64]) -> Entries:
    manifest, arrays = entries.manifest, dict(entries.arrays)
    snapshot = arrays.get("snapshot_id")
    if manifest.added_snapshot_id is not None and (snapshot is None or snapshot.null_count):
        arrays["snapshot_id"] = pa.array(entries.numbers("snapshot_id", manifest.added_snapshot_id))
    # Version 1 has no sequence numbers: they are 0. Of a later one, an entry that isn't new must have its own.
    if "sequence" not in arrays or arrays["sequence"].null_count:
        own = entries.numbers("sequence", -1)
        if manifest.sequence_number > 0 and np.any((own < 0) & (status != ADDED) & (status != _DELETED)):
            raise damaged(manifest.path, "an entry that isn't new has no sequence number")
        inherited = np.where(status == ADDED, manifest.sequence_number, 0)
        arrays["sequence"] = pa.array(np.where(own < 0, inherited, own))
    return replace(entries, arrays=arrays)


def wanted_of_entries(bounds: tuple[int, ...], extras: Extras) -> Fields:
    """What of entries becomes columns: https://iceberg.apache.org/spec/#manifests."""
    file: list[tuple[int, Wanted]] = [
        (134, Number("content", 1)), (100, Text("path")), (101, Text("format")), (102, Fields(rest="partition")),
        (103, Number("rows")), (104, Number("size")), (132, List("splits")),
        (135, List("equality_ids")), (143, Text("referenced")),
        (144, Number("content_offset")), (145, Number("content_size")),
    ]  # fmt: skip
    if extras.order:
        file.append((108, Sizes("chunk", 117, extras.order, extras.sizes)))
    if bounds:
        file += [
            (109, ByKey("values", 119, bounds, is_text=False)), (110, ByKey("nulls", 121, bounds, is_text=False)),
            (137, ByKey("nans", 138, bounds, is_text=False)), (125, ByKey("lower", 126, bounds, is_text=True)),
            (128, ByKey("upper", 129, bounds, is_text=True)),
        ]  # fmt: skip
    return Fields(
        (
            (0, Number("status", 1)), (1, Number("snapshot_id")), (3, Number("sequence")), (2, Fields(tuple(file))),
        )
    )  # fmt: skip
