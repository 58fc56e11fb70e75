"""How the reader comes by deletes: once, in time, within its budget, and without giving up what it spares."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from lakeflow_io.errors import CorruptFileError, StoreError
from lakeflow_io.reader import Counters, read_batches
from lakeflow_io.storage import MemoryTransport
from lakeflow_io.storage.immutable import ImmutableCache

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64())])
BUCKET = "s3://bucket"


class Store(MemoryTransport):
    """Counts requests by object; the first ones for some objects fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.failing: list[str] = []
        self.together: tuple[str, ...] = ()
        """Objects of which none is answered before all have been asked for."""
        self._came = asyncio.Event()

    async def get_range_async(self, uri: str, start: int, length: int, on_first_byte: Any = None) -> memoryview:
        """As asked, or once a failure that passes."""
        self.asked.append(uri)
        for part in self.failing:
            if part in uri:
                self.failing.remove(part)
                raise StoreError("it went away")
        if uri in self.together:
            if set(self.asked).issuperset(self.together):
                self._came.set()
            await self._came.wait()
        return await super().get_range_async(uri, start, length, on_first_byte)

    def take(self, path: str) -> str:
        """Copy a local file to the bucket; returns its URI there."""
        uri = BUCKET + path.removeprefix("file://")
        self.objects[uri] = Path(path.removeprefix("file://")).read_bytes()
        return uri


@pytest.fixture
def store() -> Store:
    """An empty one."""
    return Store()


def moved(scan: Any, store: Store) -> tuple[Any, list[Any]]:
    """A scan's spec and its pieces, all of whose files lie in the bucket."""

    def delete(each: Any) -> Any:
        return replace(each, path=store.take(each.path))

    pieces = [
        replace(piece, path=store.take(piece.path), deletes=tuple(delete(each) for each in piece.deletes))
        for piece in scan.pieces
    ]
    return scan._spec, pieces


def read(spec: Any, pieces: Any, store: Store, **options: Any) -> tuple[list[int], Counters]:
    """All ids, and what was counted."""
    counters = Counters()
    batches = list(read_batches(spec, pieces, transport=store, counters=counters, **options))
    return [each for batch in batches for each in batch.column("id").to_pylist()], counters


@pytest.fixture
def many(deleted_table: Callable[..., Any]) -> Any:
    """Ten data files of ten rows, the third of each deleted by one file of positions, the fourth by keys."""
    table = deleted_table(SCHEMA, row_group=4)
    files = [table.data(pa.table({"id": list(range(10 * each, 10 * each + 10))})) for each in range(10)]
    table.commit(*files)
    named = [BUCKET + file.file_path.removeprefix("file://") for file in files]
    table.commit(table.positions([(path, 2) for path in named], bounds=False))
    table.commit(table.keys({"id": list(range(3, 100, 10))}))
    return table


LEFT = [each for each in range(100) if each % 10 not in (2, 3)]


def test_a_shared_delete_file_is_read_once(many: Any, store: Store) -> None:
    """Ten files and two of deletes are twelve requests."""
    spec, pieces = moved(many.table.scan(), store)

    found, counters = read(spec, pieces, store)

    assert found == LEFT
    assert len(store.asked) == 12
    assert counters.delete_files == 2


def test_small_delete_files_are_remembered(many: Any, store: Store) -> None:
    """A second scan asks for row groups only: footers and deletes are known."""
    spec, pieces = moved(many.table.scan(), store)
    read(spec, pieces, store)
    store.asked.clear()

    found, counters = read(spec, pieces, store)

    assert found == LEFT
    assert sorted(store.asked) == sorted(piece.path for piece in pieces)
    assert (counters.footers_known, counters.delete_files) == (10, 2)


def test_what_was_remembered_wrongly_is_forgotten(many: Any, store: Store) -> None:
    """After a scan that failed on what it remembered nothing is believed: the delete file is fetched."""
    spec, pieces = moved(many.table.scan(), store)
    delete = next(each for each in pieces[0].deletes if each.kind == "position")
    cache = ImmutableCache("delete", spec.store)
    cache.keep(f"{delete.path}#0", delete.size, b"PAR1" + bytes(delete.size - 8) + b"PAR1")
    with pytest.raises(CorruptFileError, match=r"positions\.parquet"):
        read(spec, pieces, store)
    assert delete.path not in store.asked

    found, _ = read(spec, pieces, store)

    assert found == LEFT
    assert delete.path in store.asked


@pytest.mark.parametrize("memory", [1, 5000, 10**9])
def test_any_budget_will_do(many: Any, store: Store, memory: int) -> None:
    """Deletes that are larger than the budget are waited for like a row group that is; they count."""
    spec, pieces = moved(many.table.scan(where="id >= 50"), store)
    store.together = tuple(each.path for each in pieces[0].deletes)

    found, counters = read(spec, pieces, store, memory=memory)

    assert len(store.together) == 2
    assert found == [each for each in LEFT if each >= 50]
    assert counters.peak_bytes >= sum(each.size for each in pieces[0].deletes)


def test_a_limit_counts_rows_that_are_left(many: Any, store: Store) -> None:
    """The first rows are those that aren't deleted."""
    del store
    files = many.table.scan().pieces
    many.commit(many.positions([(files[0].path, row) for row in range(9)]))

    assert many.table.scan().limit(3).read().to_arrow()["id"].to_pylist() == [9, 10, 11]


def test_a_failure_that_passes_is_retried(many: Any, store: Store) -> None:
    """Delete files come the way data does, with its patience."""
    spec, pieces = moved(many.table.scan(), store)
    store.failing = ["positions", "equality"]

    found, counters = read(spec, pieces, store)

    assert found == LEFT
    assert counters.retries == 2


def test_a_scan_that_is_let_go_of_leaves_nothing(many: Any, store: Store) -> None:
    """Whether deletes have come or not."""
    spec, pieces = moved(many.table.scan(), store)
    batches = read_batches(spec, pieces, transport=store)
    next(batches)

    batches.close()

    names = "lakeflow-fetch", "lakeflow-decode", "lakeflow-close"  # others may be of other tests
    assert not [each for each in threading.enumerate() if each.name.startswith(names)]


def test_deleted_rows_do_not_pass_the_filter(deleted_table: Callable[..., Any], store: Store) -> None:
    """Wide columns of row groups whose only match is deleted, by position or by key, are never fetched."""
    table = deleted_table(pa.schema([("id", pa.int64()), ("k", pa.int64()), ("wide", pa.binary())]), row_group=200)
    random = np.random.default_rng(0)
    k = random.choice([1, 3], 1600)
    k[::200], k[50::200] = 2, 5  # one match in each row group, within bounds that tell nothing
    wide = [random.bytes(2000) for _ in range(1600)]
    file = table.data(pa.table({"id": list(range(1600)), "k": k, "wide": wide}))
    table.commit(file)
    named = BUCKET + file.file_path.removeprefix("file://")
    table.commit(table.positions([(named, n) for n in (0, 200, 400)], bounds=False), table.keys({"id": [600, 800]}))
    spec, pieces = moved(table.table.scan(columns=["wide", "id"], where="k = 2"), store)

    found, counters = read(spec, pieces, store)

    assert found == [1000, 1200, 1400]
    assert (counters.row_groups, counters.row_groups_pruned, counters.row_groups_skipped) == (8, 0, 5)
    assert counters.bytes_wanted < 0.6 * file.file_size_in_bytes
    assert counters.report().deletes_applied == 5
