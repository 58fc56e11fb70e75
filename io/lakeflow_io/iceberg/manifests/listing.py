"""A manifest list -> its manifests, and the partition summaries by which they are pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakeflow_io.avro.container import damaged
from lakeflow_io.iceberg.manifests.columns import decode_avro
from lakeflow_io.iceberg.manifests.wanted import Elements, Fields, Number, Text

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeflow_io.iceberg.manifests.columns import Columns

__all__ = ["DELETES", "ManifestFile", "ManifestList", "read_manifest_list", "wanted_of_manifests"]

DELETES = 1
"""The content of manifests of delete files."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One manifest, as its list has it."""

    path: str
    length: int
    """Bytes."""
    spec_id: int
    content: int
    sequence_number: int
    added_snapshot_id: int | None
    live_files: int | None
    """Added and existing ones; None where the list doesn't tell."""


@dataclass(frozen=True, slots=True)
class ManifestList:
    """All manifests of a snapshot."""

    manifests: list[ManifestFile]
    _columns: Columns

    def summary(self, name: str, position: int) -> pa.Array | None:
        """One of `lower`, `upper` (binary), `null`, `nan` (0 or 1) of a partition field, for each manifest."""
        return self._columns.arrays.get(f"{name}:{position}")


def read_manifest_list(uri: str, data: memoryview, partition_fields: int) -> ManifestList:
    """Decode a manifest list.

    Args:
        uri: Its name, for errors.
        data: All of it.
        partition_fields: The most that any spec of the table has.

    Raises:
        CorruptFileError: it is damaged; names it.
    """
    found = decode_avro(uri, data, wanted_of_manifests(partition_fields), ("path", "length", "spec_id"))
    try:
        paths = [path.decode() for path in found.arrays["path"].to_pylist()] if found.rows else []
    except UnicodeDecodeError as error:
        raise damaged(uri, "a path is no text") from error
    columns = {name: _values(found, name) for name in _NUMBERS}
    manifests = [
        ManifestFile(
            path=path,
            length=columns["length"][i] or 0,
            spec_id=columns["spec_id"][i] or 0,
            content=columns["content"][i] or 0,
            sequence_number=columns["sequence_number"][i] or 0,
            added_snapshot_id=columns["added_snapshot_id"][i],
            live_files=_sum(columns["added_files"][i], columns["existing_files"][i]),
        )
        for i, path in enumerate(paths)
    ]
    if any(each.content not in (0, DELETES) or each.length < 0 for each in manifests):
        raise damaged(uri, "a manifest has a content or length that none has")
    return ManifestList(manifests, found)


# https://iceberg.apache.org/spec/#manifest-lists
_NUMBERS = {
    "length": 501, "spec_id": 502, "content": 517, "sequence_number": 515, "added_snapshot_id": 503,
    "added_files": 504, "existing_files": 505,
}  # fmt: skip
_PATH, _PARTITIONS = 500, 507
_SUMMARY = ((509, Number("null")), (518, Number("nan")), (510, Text("lower")), (511, Text("upper")))


def wanted_of_manifests(partition_fields: int) -> Fields:
    """What of a list's records becomes columns."""
    numbers = ((number, Number(name)) for name, number in _NUMBERS.items())
    return Fields(((_PATH, Text("path")), (_PARTITIONS, Elements(_SUMMARY, partition_fields)), *numbers))


def _values(found: Columns, name: str) -> list[int | None]:
    array = found.arrays.get(name)
    return array.to_pylist() if array is not None else np.full(found.rows, None).tolist()


def _sum(added: int | None, existing: int | None) -> int | None:
    return None if added is None or existing is None else added + existing
