"""What is asked for together with a first footer is used where it was guessed right, and else asked for again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.iceberg.expected import leaf_ids
from lakeflow_io.parquet.ranges import column_chunks
from lakeflow_io.reader import Counters, footers
from lakeflow_io.storage import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    import lakeflow as lf

ROWS = 150_000
SCHEMA = pa.schema([("a", pa.float64()), ("b", pa.float64()), ("c", pa.float64())])


class Noting(MemoryTransport):
    """Notes ranges before any of those that were sent with them is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, int] | None] = []

    async def get_range_async(
        self, uri: str, start: int, length: int, on_first_byte: Callable[[], None] | None = None
    ) -> memoryview:
        """As asked."""
        self.events.append((start, length))
        await asyncio.sleep(0)  # requests that were sent at the same moment come first
        self.events.append(None)
        return await super().get_range_async(uri, start, length, on_first_byte)

    @property
    def trips(self) -> int:
        """Round trips, one after the other."""
        asked = [event is not None for event in self.events]
        return sum(now and not before for before, now in zip([False, *asked], asked, strict=False))


_ENCODED: dict[int, bytes] = {}


def files(memory_files: Any, row_group: int = ROWS) -> Any:
    """One file of 3.6 MB that doesn't compress."""
    made = memory_files(SCHEMA, row_group=row_group)
    made.transport = Noting()
    if row_group not in _ENCODED:
        random = np.random.default_rng(0)
        piece = made.add(pa.table({name: random.random(ROWS) for name in SCHEMA.names}))
        _ENCODED[row_group] = made.transport.objects[piece.path]
    else:
        made.add_bytes("memory://tests/data/file-000.parquet", _ENCODED[row_group])
    return made


def told(files: Any) -> None:
    """Write into the piece what a manifest tells of its columns."""
    piece = files.pieces[0]
    group = pq.read_metadata(pa.BufferReader(files.transport.objects[piece.path])).row_group(0)
    chunks = column_chunks(group, range(group.num_columns))
    ids = leaf_ids(files.schema.fields)
    files.pieces[0] = replace(
        piece, chunks=tuple((each, chunk.start, chunk.length) for each, chunk in zip(ids, chunks, strict=True))
    )


def read(files: Any, columns: list[str] | None = None, where: str | None = None) -> tuple[pa.Table, Counters]:
    """All rows, and what it took."""
    counters = Counters()
    spec = replace(files.spec(columns, where), width=len(SCHEMA))
    return files.read(spec, counters=counters), counters


def test_all_columns_come_in_one_round_trip(memory_files: Any) -> None:
    """Beginnings of row groups are enough; nothing is fetched twice."""
    made = files(memory_files)

    found, counters = read(made)

    assert found.num_rows == ROWS
    assert made.transport.trips == 1
    assert counters.bytes_fetched <= made.pieces[0].file_size


def test_some_columns_come_in_one_round_trip(memory_files: Any) -> None:
    """Where the manifest has their sizes; and no other column does."""
    made = files(memory_files)
    told(made)

    found, counters = read(made, ["c", "a"])

    assert found.column_names == ["c", "a"]
    assert made.transport.trips == 1
    assert counters.bytes_fetched < made.pieces[0].file_size * 0.75


def test_without_sizes_it_takes_two(memory_files: Any) -> None:
    """The footer, then the columns."""
    made = files(memory_files)

    read(made, ["c", "a"])

    assert made.transport.trips == 2


def test_a_filter_waits_for_statistics(memory_files: Any) -> None:
    """Which may leave all of it out: nothing is guessed."""
    made = files(memory_files)
    told(made)

    found, counters = read(made, where="a > 2")

    assert found.num_rows == 0
    assert counters.bytes_fetched < 100_000


@pytest.mark.parametrize(("likely", "trips"), [((0.4, 0.6), 1), ((0.0, 0.2), 2), (None, 2)])
def test_where_a_filter_leads_in_a_sorted_file(
    memory_files: Any, likely: tuple[float, float] | None, trips: int
) -> None:
    """Its row group comes with the footer if it was guessed, and else behind it; the rows are the same."""
    made = memory_files(SCHEMA, row_group=ROWS // 3)
    made.transport = Noting()
    columns = {name: np.arange(ROWS) + np.random.default_rng(0).random(ROWS) for name in SCHEMA.names}
    made.add(pa.table(columns))
    made.pieces[0] = replace(made.pieces[0], likely=likely)
    low, high = 0.4 * ROWS, 0.6 * ROWS

    found, counters = read(made, where=f"a >= {low} and a < {high}")

    assert found["a"].to_pylist() == [each for each in columns["a"].tolist() if low <= each < high]
    assert made.transport.trips == trips
    assert counters.row_groups_pruned == 2


def test_one_row_group_is_enough_to_begin_with(memory_files: Any) -> None:
    """The first one of a piece comes with the footer, the others when the budget has room for them."""
    made = files(memory_files, row_group=ROWS // 3)
    whole = read(made)[0]
    second = made.pieces[0].splits[1]
    made.pieces[0] = replace(made.pieces[0], start=second, splits=made.pieces[0].splits[1:])
    made.transport.events.clear()

    found, _ = read(made)

    assert found.equals(whole.slice(ROWS // 3))
    first = made.transport.events[: made.transport.events.index(None)]
    assert second in [event[0] for event in first if event]


def test_a_large_row_group_is_not_guessed(memory_files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a round trip could bring isn't asked for before its footer."""
    monkeypatch.setattr(footers, "_MOST_EXPECTED_BYTES", 1_000_000)
    made = files(memory_files)

    read(made)

    assert made.transport.trips == 2


@given(st.data())
def test_any_guess_gives_the_same_rows(memory_files: Any, data: st.DataObject) -> None:
    """However wrong it is: chunks and row groups anywhere, of any size, more or fewer than there are."""
    made = data.draw(st.sampled_from([files(memory_files, ROWS), files(memory_files, ROWS // 2)]))
    columns = data.draw(st.lists(st.sampled_from(SCHEMA.names), min_size=1, unique=True))
    whole = made.read(made.spec(columns))
    piece, size = made.pieces[0], made.pieces[0].file_size
    guess = st.tuples(st.integers(1, 3), st.integers(0, size - 1), st.integers(1, size))
    made.pieces[0] = replace(
        piece,
        chunks=tuple(data.draw(st.lists(guess, max_size=4))),
        splits=tuple(sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=3)))),
        likely=data.draw(st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1))),
    )
    where, passing = data.draw(st.sampled_from([(None, slice(None)), ("a < 2", slice(None)), ("a > 2", slice(0, 0))]))

    found, _ = read(made, columns, where)

    assert found.equals(whole[passing])


def test_a_plan_guesses_right(embedded: lf.Lake) -> None:
    """From what manifests have of a file with nested columns, those beneath maps in the files' order."""
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("map", pa.map_(pa.string(), pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))]))),
            ("struct", pa.struct([("a", pa.int64()), ("b", pa.string())])),
            ("text", pa.string()),
        ]
    )
    table = embedded.create_table("kg.nested", schema)
    rows = [
        {"id": i, "map": [("k", {"x": i, "y": ["l"]})], "struct": {"a": i, "b": "b"}, "text": str(i)} for i in range(9)
    ]
    table.append(pa.Table.from_pylist(rows, schema))

    (piece,) = table.scan(columns=["text", "map", "id"]).pieces
    group = pq.read_metadata(piece.path.removeprefix("file://")).row_group(0)

    real = {group.column(leaf).path_in_schema: column_chunks(group, [leaf])[0] for leaf in range(group.num_columns)}
    wanted = sorted((chunk.start, chunk.length) for path, chunk in real.items() if not path.startswith("struct"))
    assert [(start, length) for _, start, length in piece.chunks] == wanted
    assert table.scan().pieces[0].chunks == ()


def test_a_plan_guesses_where_a_filter_leads(embedded: lf.Lake) -> None:
    """From the bounds that manifests have, by the column that tells most."""
    table = embedded.create_table("kg.sorted", pa.schema([("day", pa.date32()), ("x", pa.int64())]))
    table.append(pa.table([pa.array(range(1000), pa.int32()).cast(pa.date32()), pa.array(range(1000))], ["day", "x"]))

    (piece,) = table.scan(where="day >= '1970-07-20' and x < 300 and x > 100").pieces
    assert piece.likely == pytest.approx((100 / 999, 300 / 999))
    (piece,) = table.scan(where="day = '1970-07-20' or day < '1970-02-20' and x = 1").pieces
    assert piece.likely == pytest.approx((0, 200 / 999))
    assert table.scan().pieces[0].likely is None
