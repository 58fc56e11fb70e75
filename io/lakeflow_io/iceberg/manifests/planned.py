"""Pieces over Arrow columns, each made when somebody looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow_io.iceberg.manifests.values import PartitionColumns
from lakeflow_io.iceberg.plan import Piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from lakeflow_io.iceberg.manifests.entries import Entries, Extras
    from lakeflow_io.iceberg.manifests.values import Partition, PartitionNames

__all__ = ["LiveFile", "PlannedPieces"]

# Made at once while somebody goes through all of them.
_BATCH = 1024
_MOST_SHORT_OFFSET = 2**31 - 1


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A data file of a snapshot, as its manifest has it; what is known of columns is named as in pyiceberg's."""

    path: str
    manifest: str
    """URI of the manifest that names it: it may be in another one by the time it is removed."""
    spec_id: int
    partition: tuple[Any, ...]
    """In the order of the spec's fields, as pyiceberg has them."""
    sequence: int
    """The data sequence number."""
    rows: int
    value_counts: Mapping[int, int]
    """By field id, as `null_value_counts` and the bounds, of the columns that were asked for."""
    null_value_counts: Mapping[int, int]
    lower_bounds: Mapping[int, bytes]
    upper_bounds: Mapping[int, bytes]


# Names of columns of entries, in the order of the fields of `LiveFile`.
_KNOWN = ("values", "nulls", "lower", "upper")
_ENDS = ("begin", "end")


class PlannedPieces(Sequence[Piece]):
    """The data files of a plan, sorted by path.

    Args:
        parts: Live entries that passed, by manifest.
        extras: What was decoded of them.
        names: Of the table's partitions.
        bounds: Field ids of the columns whose counts and bounds are kept.
    """

    def __init__(
        self, parts: Sequence[Entries], extras: Extras, names: PartitionNames, bounds: Iterable[int] = ()
    ) -> None:
        self._names, self._bounds = names, sorted(bounds)
        self._chunks = extras.sizes
        self._manifests = [part.manifest.path for part in parts]
        self._partitions = [PartitionColumns.of(part, names.specs.get(part.manifest.spec_id)) for part in parts]
        self._named: list[list[Partition] | None] = [None] * len(parts)
        self._first = np.cumsum([0, *(part.count for part in parts)])
        numbers = ["chunk:all", *(f"chunk:{what}:{each}" for each in extras.sizes for what in ("start", "size"))]
        kinds = {"path": pa.string(), "splits": pa.list_(pa.int64())}
        kinds |= {f"{what}:{each}": pa.int64() for what in _KNOWN[:2] for each in self._bounds}
        kinds |= {f"{what}:{each}": pa.binary() for what in _KNOWN[2:] for each in self._bounds}
        kinds |= dict.fromkeys(("size", "rows", "sequence", *(numbers if extras.order else ())), pa.int64())
        self._columns = {name: _joined(parts, name, kind) for name, kind in kinds.items()}
        if any("likely:begin" in part.arrays for part in parts):
            self._columns |= {f"likely:{end}": _joined(parts, f"likely:{end}", pa.float64()) for end in _ENDS}
        formats = [pc.call_function("ascii_upper", [part.arrays["format"].cast(pa.string())]) for part in parts]
        if any(pc.call_function("any", [pc.call_function("not_equal", [each, "PARQUET"])]).as_py() for each in formats):
            self._columns["format"] = pa.concat_arrays(formats)
        self._order = _sorted(self._columns["path"])

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> PlannedPieces: ...
    def __getitem__(self, index: int | slice) -> Piece | PlannedPieces:
        """One piece, or those of a slice, which share the columns."""
        if isinstance(index, slice):
            made = object.__new__(PlannedPieces)
            made.__dict__ = {**self.__dict__, "_order": self._order[index]}
            return made
        return self._made(self._order[range(len(self))[index]][None])[0]

    def __iter__(self) -> Iterator[Piece]:
        for start in range(0, len(self), _BATCH):
            yield from self._made(self._order[start : start + _BATCH])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_named": [None] * len(self._named)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return f"<{len(self)} pieces>"

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(each.nbytes for each in self._columns.values()) + int(self._order.nbytes)

    def files(self) -> Iterator[LiveFile]:
        """Each file's entry, in the same order."""
        for start in range(0, len(self), _BATCH):
            rows = self._order[start : start + _BATCH]
            parts = np.searchsorted(self._first, rows, "right") - 1
            columns = [self._take(name, rows) for name in ("path", "sequence", "rows")]
            known = [self._by_column(what, rows) for what in _KNOWN]
            for part, partition, path, sequence, count, *facts in zip(
                parts.tolist(), self._named_rows(rows), *columns, *known, strict=True
            ):
                place = self._manifests[part], partition.spec_id, partition.values
                yield LiveFile(path, *place, sequence, count, *facts)

    def _by_column(self, what: str, rows: NDArray[np.int64]) -> list[dict[int, Any]]:
        """Of each file, by field id, what is there."""
        found: list[dict[int, Any]] = [{} for _ in rows]
        for field_id in self._bounds:
            for facts, value in zip(found, self._take(f"{what}:{field_id}", rows), strict=True):
                if value is not None:
                    facts[field_id] = value
        return found

    def _take(self, name: str, rows: NDArray[np.int64]) -> list[Any]:
        return self._columns[name].take(pa.array(rows)).to_pylist()

    def _named_rows(self, rows: NDArray[np.int64]) -> Iterator[Partition]:
        """Each file's partition; a manifest's are worked out together, when one is asked for."""
        parts = np.searchsorted(self._first, rows, "right") - 1
        for part, row in zip(parts.tolist(), (rows - self._first[parts]).tolist(), strict=True):
            named = self._named[part]
            if named is None:
                named = self._named[part] = self._partitions[part].partitions(self._names)
            yield named[row]

    def _made(self, rows: NDArray[np.int64]) -> list[Piece]:
        columns = (self._take(name, rows) for name in ("path", "size", "rows", "splits"))
        formats = self._take("format", rows) if "format" in self._columns else ["PARQUET"] * len(rows)
        pieces = []
        for partition, path, size, count, splits, kind, chunks, likely in zip(
            self._named_rows(rows), *columns, formats, self._guesses(rows), self._likely(rows), strict=True
        ):
            # Positions of rows in an Avro file are known only once all before them have been fetched.
            known = tuple(sorted(splits or ())) if kind != "AVRO" else ()
            pieces.append(
                Piece(
                    path=path, file_size=size, start=0, end=size, rows=count, partition=partition.name, splits=known,
                    partition_key=partition.key, constants=partition.constants, format=kind,
                    chunks=_placed(known, size, *chunks) if chunks and kind == "PARQUET" else (),
                    likely=likely,
                )
            )  # fmt: skip
        return pieces

    def _likely(self, rows: NDArray[np.int64]) -> list[tuple[float, float] | None]:
        """Of each file the part in which a filter's rows are likely to be."""
        if "likely:begin" not in self._columns:
            return [None] * len(rows)
        ends = [self._take(f"likely:{end}", rows) for end in _ENDS]
        return [None if begin is None else (begin, end) for begin, end in zip(*ends, strict=True)]

    def _guesses(self, rows: NDArray[np.int64]) -> list[Any]:
        """Of each file the bytes of all its columns, and of each wanted column its id, place among them and size."""
        if "chunk:all" not in self._columns:
            return [None] * len(rows)
        columns = [
            zip(
                [each] * len(rows),
                *(self._take(f"chunk:{what}:{each}", rows) for what in ("start", "size")),
                strict=True,
            )
            for each in self._chunks
        ]
        found = zip(*columns, strict=True) if columns else [()] * len(rows)
        return list(zip(self._take("chunk:all", rows), found, strict=True))


def _placed(
    splits: tuple[int, ...], file_size: int, total: int | None, chunks: Any
) -> tuple[tuple[int, int, int], ...]:
    """Where chunks lie in a file of one row group: id, start and size, if that is possible."""
    if len(splits) != 1 or total is None or splits[0] + total >= file_size:
        return ()
    return tuple((each, splits[0] + start, size) for each, start, size in chunks if size)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _joined(parts: Sequence[Entries], name: str, kind: pa.DataType) -> pa.Array:
    """A column of all parts, one behind the other."""
    arrays = [part.arrays.get(name, None) for part in parts]
    if kind == pa.string() and sum(each.nbytes for each in arrays if each is not None) > _MOST_SHORT_OFFSET:
        arrays = [each and each.cast(pa.large_string()) for each in arrays]
        kind = pa.large_string()
    filled = [pa.nulls(part.count, kind) if each is None else each for each, part in zip(arrays, parts, strict=True)]
    return pa.concat_arrays(filled) if filled else pa.array([], kind)


def _sorted(paths: pa.Array) -> NDArray[np.int64]:
    found = pc.call_function("array_sort_indices", [paths])
    return found.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
