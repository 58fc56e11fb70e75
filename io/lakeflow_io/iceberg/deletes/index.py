"""Which deletes apply to a data file: the rules of the Iceberg specification ("Scan Planning"), and no more.

    vector      to the data file that it names, if that is not newer; in place of position deletes
    position    to data files of its partition that are not newer, among them those that it may name
    equality    to older data files of its partition; of the whole table, if its own spec has no partitions

Newer and older are data sequence numbers. One partition is one spec's and one tuple of values.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.formats import READABLE
from lakeflow_io.iceberg.deletes.paths import between, same_object

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lakeflow_io.iceberg.deletes.file import DeleteFile

__all__ = ["DeleteIndex"]

_READABLE = {"position": READABLE, "equality": READABLE, "vector": ("PUFFIN",)}


@dataclass(slots=True)
class _BySequence:
    """Delete files, found by sequence number."""

    found: list[tuple[int, DeleteFile, tuple[bytes, bytes] | None]] = field(default_factory=list)
    ordered: bool = False

    def add(self, delete: DeleteFile, bounds: tuple[bytes, bytes] | None = None) -> None:
        self.found.append((delete.sequence, delete, bounds))
        self.ordered = False

    def since(self, sequence: int, *, itself: bool) -> Sequence[tuple[int, DeleteFile, tuple[bytes, bytes] | None]]:
        """Those with a greater sequence number, or with this one."""
        if not self.ordered:
            self.found.sort(key=lambda each: (each[0], each[1].name))
            self.ordered = True
        cut = bisect_left if itself else bisect_right
        return self.found[cut(self.found, sequence, key=lambda each: each[0]) :]


class DeleteIndex:
    """The delete files of one snapshot.

    Args:
        unpartitioned: Ids of the partition specs without partitions: no fields, or none but void ones.
        source: The table and snapshot, for errors.
    """

    def __init__(self, unpartitioned: Collection[int], source: str) -> None:
        self._unpartitioned, self._source = unpartitioned, source
        self._vectors: dict[str, DeleteFile] = {}
        self._named: dict[str, _BySequence] = {}
        self._positions: dict[tuple[Any, ...], _BySequence] = {}
        self._equality: dict[tuple[Any, ...], _BySequence] = {}
        self._everywhere = _BySequence()

    def add(
        self,
        delete: DeleteFile,
        spec_id: int,
        partition: Sequence[Any],
        referenced: str | None = None,
        bounds: tuple[bytes, bytes] | None = None,
    ) -> None:
        """Take in a live delete file.

        Args:
            delete: The file; a deletion vector is one of its own.
            spec_id: Of its partition spec.
            partition: Its partition values, in the order of the spec's fields.
            referenced: The data file that all of its deletes are in, where the manifest says so.
            bounds: Lower and upper bound of the paths in a position delete file.

        Raises:
            CorruptFileError: it is a vector of no data file, or the second one of its data file.
        """
        if delete.kind == "vector":
            self._add_vector(delete, referenced)
        elif delete.kind == "position":
            if referenced is None and bounds is not None and bounds[0] == bounds[1]:
                referenced, bounds = bounds[0].decode(errors="surrogateescape"), None
            if referenced is not None:
                self._named.setdefault(same_object(referenced), _BySequence()).add(delete)
            else:
                self._positions.setdefault(_partition(spec_id, partition), _BySequence()).add(delete, bounds)
        elif spec_id in self._unpartitioned:
            self._everywhere.add(delete)
        else:
            self._equality.setdefault(_partition(spec_id, partition), _BySequence()).add(delete)

    def _add_vector(self, delete: DeleteFile, referenced: str | None) -> None:
        where = f"{self._source}: the deletion vector at byte {delete.offset} of {delete.path}"
        hint = "roll the table back to a snapshot without it, or restore the manifest."
        if referenced is None or delete.length <= 0 or delete.offset < 0:
            raise CorruptFileError(f"{where} has no data file, offset or length in its manifest.", hint)
        if delete.offset + delete.length > delete.size:
            raise CorruptFileError(f"{where} ends at byte {delete.offset + delete.length} of {delete.size}.", hint)
        before = self._vectors.setdefault(same_object(referenced), delete)
        if before is not delete:
            raise CorruptFileError(
                f"{where} is the second one of {referenced}: another is at byte {before.offset} of {before.path}.", hint
            )

    def for_file(self, path: str, spec_id: int, partition: Sequence[Any], sequence: int) -> tuple[DeleteFile, ...]:
        """The deletes that apply to a data file, those with lower sequence numbers first.

        Args:
            path: The data file's.
            spec_id: Of its partition spec.
            partition: Its partition values, in the order of the spec's fields.
            sequence: Its data sequence number.

        Raises:
            UnsupportedError: one of them is in a format that isn't read.
        """
        found = [delete for _, delete, _ in self._everywhere.since(sequence, itself=False)]
        where = _partition(spec_id, partition) if self._equality or self._positions else ()
        if where in self._equality:
            found += [delete for _, delete, _ in self._equality[where].since(sequence, itself=False)]
        if self._vectors or self._named or where in self._positions:
            found += self._by_position(same_object(path), where, sequence)
        for delete in found:
            if delete.format not in _READABLE[delete.kind]:
                raise UnsupportedError(
                    f"{self._source}: {path} has row-level deletes in {delete.path}, "
                    f"{delete.kind} deletes as {delete.format}, not {' or '.join(_READABLE[delete.kind])}.",
                    "compact the table with the engine that wrote it (rewrite_data_files), then scan again.",
                )
        return tuple(sorted(found, key=lambda each: (each.sequence, each.name)))

    def _by_position(self, path: str, where: tuple[Any, ...], sequence: int) -> list[DeleteFile]:
        vector = self._vectors.get(path)
        if vector is not None and vector.sequence >= sequence:
            return [vector]
        found = []
        if path in self._named:
            found += [delete for _, delete, _ in self._named[path].since(sequence, itself=True)]
        if where in self._positions:
            newer = self._positions[where].since(sequence, itself=True)
            found += [delete for _, delete, bounds in newer if bounds is None or between(path, *bounds)]
        return found


def _partition(spec_id: int, values: Sequence[Any]) -> tuple[Any, ...]:
    # As Java compares floats: NaN is itself, and 0.0 isn't -0.0.
    return (spec_id, *(_bits(each) if isinstance(each, float) else each for each in values))


def _bits(value: float) -> bytes:
    return struct.pack("<d", value if value == value else float("nan"))  # noqa: PLR0124  (any NaN)
