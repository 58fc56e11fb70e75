"""The delete files of a scan: fetched ahead with footers, decoded once, kept while a file needs them.

Many data files may share a delete file, and many vectors lie in one Puffin file: what lies close together is
fetched at once. All of equality delete files that compare the same columns are one thing to wait for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from lakeflow_io.iceberg.deletes.apply import FileDeletes, KeyColumns
from lakeflow_io.iceberg.deletes.equality import DeletedKeys
from lakeflow_io.iceberg.deletes.equality_file import key_columns
from lakeflow_io.iceberg.deletes.families import Family, families_of
from lakeflow_io.iceberg.deletes.paths import same_object
from lakeflow_io.iceberg.deletes.positions import DeletedPositions, merged
from lakeflow_io.iceberg.deletes.vectors import vector_positions
from lakeflow_io.parquet.ranges import ByteRange, FetchedRanges, coalesce
from lakeflow_io.reader.located import located

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.reader.decoders import Decoders
    from lakeflow_io.reader.held import Held
    from lakeflow_io.reader.remembered import Remembered
    from lakeflow_io.reader.report import Counters

__all__ = ["Deletions"]

# As early as footers: no unit of a file begins without its deletes.
_FIRST = -1
# Vectors of one Puffin file that are this close to each other come together.
_TOGETHER_BYTES = 4 * 1024 * 1024


class _Need(NamedTuple):
    """What has to be there before a piece can be read."""

    name: Hashable
    wanted: DeleteFile | Family
    least: int = 0
    """Of a family, the lowest sequence number that applies."""


class _Source:
    """Something that data files wait for: a delete file, a vector, or all keys of a family."""

    __slots__ = ("asked", "bytes", "error", "parts", "result", "uses")

    def __init__(self) -> None:
        self.asked = False
        self.bytes = 0
        """Of memory."""
        self.uses = 0
        """Pieces that still need it."""
        self.result: Any = None
        self.error: BaseException | None = None
        self.parts: dict[int, list[pa.Array]] = {}
        """Of a family, what has been decoded of its files."""


class Deletions:
    """The deletes of a scan's pieces, as fast as they come.

    Args:
        spec: What is read.
        pieces: Parts of data files.
        remembered: Where bytes are asked for.
        decoders: Where they are decoded.
        held: Where they are counted.
        counters: Where files are counted.
        wake: Called when something has come.
    """

    def __init__(
        self,
        spec: ReadSpec,
        pieces: Sequence[Piece],
        *,
        remembered: Remembered,
        decoders: Decoders,
        held: Held,
        counters: Counters,
        wake: Callable[[], None],
    ) -> None:
        self._spec, self._remembered, self._decoders, self._held = spec, remembered, decoders, held
        self._counters, self._wake, self._lock = counters, wake, Lock()
        having = [piece for piece in pieces if piece.deletes]
        self._wanted = {same_object(piece.path) for piece in having}
        self._needs: dict[tuple[str, int], list[_Need]] = {}
        self._sources: dict[Hashable, _Source] = {}
        self._key_columns: dict[tuple[int, ...], KeyColumns] = {}
        self._vectors: dict[str, list[DeleteFile]] = {}
        self._files: dict[Hashable, int] = {}
        if having:
            self._note(having)

    def _note(self, pieces: Sequence[Piece]) -> None:
        """Work out what each piece needs, and who shares it."""
        families, paths = families_of(pieces), dict[Hashable, set[str]]()
        for piece in pieces:
            needs = [_Need(each.name, each) for each in piece.deletes if each.kind != "equality"]
            for need in needs:
                paths.setdefault(need.name, set()).add(piece.path)
            needs += [_Need(number, family, least) for number, family, least in families[piece.deletes]]
            self._needs[piece.path, piece.start] = needs
            for name, wanted, _ in needs:
                if name not in self._sources:
                    self._sources[name] = _Source()
                    if not isinstance(wanted, tuple) and wanted.kind == "vector":
                        self._vectors.setdefault(wanted.path, []).append(wanted)
                self._sources[name].uses += 1
        self._files = {name: len(found) for name, found in paths.items()}
        for vectors in self._vectors.values():
            vectors.sort(key=lambda vector: vector.offset)

    def ask(self, piece: Piece) -> int:
        """Fetch what a piece needs and nobody has asked for; returns how many bytes."""
        asked = 0
        for name, needed, _ in self._needs[piece.path, piece.start]:
            source = self._sources[name]
            if source.asked:
                continue
            if isinstance(needed, tuple):
                source.asked = True
                asked += sum(self._fetch_keys(source, needed, index) for index in range(len(needed)))
            elif needed.kind == "vector":
                asked += self._fetch_vectors(needed)
            else:
                source.asked = True
                asked += self._fetch_whole(needed, source, partial(self._decode_positions, source, needed))
        return asked

    def of(self, piece: Piece) -> FileDeletes | None:
        """The deletes of a piece that were asked for; None while something is on its way.

        Raises:
            DataError, StoreError: a delete file couldn't be fetched or decoded.
        """
        needs = self._needs[piece.path, piece.start]
        sources = [self._sources[need.name] for need in needs]
        for source in sources:
            if source.error is not None:
                raise source.error
        if any(source.result is None for source in sources):
            return None
        name = same_object(piece.path)
        positions, keys = [], []
        for source, (_, needed, least) in zip(sources, needs, strict=True):
            if isinstance(needed, tuple):
                keys.append((source.result, least, self._columns(needed)))
            elif needed.kind == "vector":
                positions.append(vector_positions(needed, source.result))
            else:
                positions.append(source.result.by_file.get(name, np.empty(0, np.uint64)))
        for need in needs:
            self._let_go(need.name)
        return FileDeletes(merged(positions), tuple(keys))

    def distrust(self) -> None:
        """Forget the delete files that were known: one may have been replaced after all."""
        self._remembered.distrust()

    def close(self) -> None:
        """Let go of everything; remember small files."""
        self._remembered.save()
        self._sources.clear()

    def _let_go(self, name: Hashable) -> None:
        source = self._sources[name]
        source.uses -= 1
        if not source.uses:
            source.result = None
            self._hold(source, 0)

    def _hold(self, source: _Source, size: int) -> None:
        self._held.keep(size - source.bytes)
        source.bytes = size

    def _columns(self, family: Family) -> KeyColumns:
        key = family[0].key
        assert key is not None  # noqa: S101  (equality deletes have one)
        found = self._key_columns.get(key.ids)
        if found is None:
            found = self._key_columns[key.ids] = KeyColumns.of(key, self._spec)
        return found

    def _fetch_whole(self, delete: DeleteFile, source: _Source, decode: Callable[[FetchedRanges], None]) -> int:
        ranges = coalesce([ByteRange(0, delete.size)]) if delete.size else []
        self._fetch(delete.path, ranges, [source], decode)
        self._counters.delete_files += 1
        return delete.size

    def _fetch_keys(self, source: _Source, family: Family, index: int) -> int:
        return self._fetch_whole(family[index], source, partial(self._decode_keys, source, family, index))

    def _fetch_vectors(self, vector: DeleteFile) -> int:
        """A vector and its neighbours in the file, as far as they are needed and nobody has asked for them."""
        among = self._vectors[vector.path]
        window = vector.offset // _TOGETHER_BYTES
        begin = bisect_left(among, window * _TOGETHER_BYTES, key=lambda each: each.offset)
        end = bisect_left(among, (window + 1) * _TOGETHER_BYTES, key=lambda each: each.offset)
        vectors = [each for each in among[begin:end] if not self._sources[each.name].asked]
        sources = [self._sources[each.name] for each in vectors]
        for source in sources:
            source.asked = True

        def taken(data: FetchedRanges) -> None:
            for each, source in zip(vectors, sources, strict=True):
                source.result = data.view(each.offset, each.length)

        ranges = coalesce([ByteRange(each.offset, each.length) for each in vectors])
        self._fetch(vector.path, ranges, sources, taken)
        self._counters.delete_files += len(vectors)
        return sum(each.length for each in vectors)

    def _fetch(
        self, uri: str, ranges: list[ByteRange], sources: list[_Source], then: Callable[[FetchedRanges], None]
    ) -> None:
        size = sum(each.length for each in ranges)

        def came(got: list[memoryview] | BaseException) -> None:
            if isinstance(got, BaseException):
                self._fail(sources, got)
                self._wake()
            else:
                self._decoders.submit(partial(decode, FetchedRanges(uri, zip(ranges, got, strict=True))))

        def decode(data: FetchedRanges) -> None:
            try:
                then(data)
            except Exception as error:  # noqa: BLE001  (the consumer's thread raises it)
                self._fail(sources, located(error, f"the delete file {uri}"))
            self._wake()

        for source in sources:
            self._hold(source, source.bytes + size // len(sources))
        if not ranges:
            came([])
            return
        self._remembered.fetch(_FIRST, uri, ranges, came)

    @staticmethod
    def _fail(sources: list[_Source], error: BaseException) -> None:
        for source in sources:
            source.error = source.error or error

    def _decode_positions(self, source: _Source, delete: DeleteFile, data: FetchedRanges) -> None:
        found = DeletedPositions.of(delete, data, self._wanted)
        with self._lock:
            if delete.files and self._files[delete.name] == delete.files:
                # All data files that it applies to are read here: what names none of them names nothing.
                self._counters.dangling_deletes += found.elsewhere
        self._hold(source, found.bytes)
        source.result = found

    def _decode_keys(self, source: _Source, family: Family, index: int, data: FetchedRanges) -> None:
        delete = family[index]
        assert delete.key is not None  # noqa: S101  (equality deletes have one)
        columns = key_columns(delete, delete.key, data, self._spec)
        with self._lock:
            source.parts[index] = columns
            if len(source.parts) < len(family):
                return
        parts, source.parts = [source.parts[number] for number in range(len(family))], {}
        rows = [len(part[0]) for part in parts]
        sequences = np.repeat(np.array([each.sequence for each in family], np.int64), rows)
        found = DeletedKeys.of([pa.concat_arrays(column) for column in zip(*parts, strict=True)], sequences)
        self._hold(source, found.bytes)
        source.result = found
