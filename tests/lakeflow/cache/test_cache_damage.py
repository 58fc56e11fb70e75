"""A shard that was damaged after it was written, and what its readers see of it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow.cache import Cache
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 3000
BITS = 30
"""Flipped one at a time, in each file of each kind of cache."""
PLACE = pa.struct({"x": pa.int32(), "y": pa.string()})
TABLE = pa.table(
    {
        "number": pa.array(range(ROWS)),
        "name": [f"name {row}" for row in range(ROWS)],
        "score": pa.array([None if row % 5 == 1 else row / 4 for row in range(ROWS)], pa.float32()),
        "good": pa.array([row % 3 == 0 for row in range(ROWS)]),
        "tags": pa.array([[str(row)] * (row % 4) for row in range(ROWS)]),
        "place": pa.array([{"x": row, "y": None} for row in range(ROWS)], PLACE),
    }
)
KEYS = ["number", "name", ("name", "number")]
LOADED = TABLE.to_pylist()


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    """Make a cache by one key; return the folder of its version."""

    def made(key: Any) -> Path:
        cache = Cache("scores", tmp_path_factory.mktemp("damage"))
        version = cache.load(TABLE, key=list(key) if isinstance(key, tuple) else key)
        return Path(cache.root) / "scores" / "versions" / version.id

    return made


@pytest.mark.parametrize("suffix", ["arrow", "idx"])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_flipped_bit_is_found_where_it_is_read(
    folder_of: Any,
    key: Any,
    suffix: str,
    compiled: bool,  # noqa: FBT001  (a fixture)
) -> None:
    """Wherever it is: a row is what was loaded, or an error names a file of the shard; and not all rows are errors."""
    folder = folder_of(key)
    path = folder / f"shard-0000.{suffix}"
    content = path.read_bytes()
    draw = random.Random(f"{key}{suffix}")
    refused = 0
    for _ in range(BITS):
        damaged = bytearray(content)
        damaged[draw.randrange(160, len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        cache = Cache("scores", folder.parents[2])
        asked = draw.sample(LOADED, 40)
        refused += sum(not has(cache, key, [row]) for row in asked)
        has(cache, key, asked)
        with pytest.raises(CorruptFileError, match=r"shard-0000\.(arrow|idx)"):
            list(cache._version().batches())
    path.write_bytes(content)
    assert refused < BITS * 40 * (0.5 if compiled else 1.01)


def has(cache: Cache, key: Any, rows: list[dict[str, Any]]) -> bool:
    """Whether a cache gives rows as they were loaded; else it says that its file is damaged."""
    names = key if isinstance(key, tuple) else (key,)
    keys = [tuple(row[name] for name in names) for row in rows]
    asked = keys if isinstance(key, tuple) else [each[0] for each in keys]
    try:
        seen = cache.get_many(asked).drop_columns("found").to_pylist() if len(rows) > 1 else [cache.get(asked[0])]
    except CorruptFileError as error:
        if "shard-0000" not in str(error):
            raise
        return False
    assert seen == rows
    return True


@pytest.mark.parametrize("columns", [["score"], ["number"], ["tags", "name"]], ids=str)
def test_columns_that_are_not_asked_for_may_be_damaged(folder_of: Any, columns: list[str]) -> None:
    """A look-up of some columns reads no block of the others, and finds what is damaged in these."""
    folder = folder_of("number")
    path = folder / "shard-0000.arrow"
    content = path.read_bytes()
    batch = pa.ipc.open_file(content).get_batch(0)
    scores = batch.column("score").buffers()[1].to_pybytes()
    inside = content.index(scores) + 4096  # no block that holds something else, too
    path.write_bytes(content[:inside] + bytes(4096) + content[inside + 4096 :])
    cache = Cache("scores", folder.parents[2])
    row = batch.slice(1500, 1).to_pylist()[0]
    key, right = row["number"], {name: row[name] for name in columns}

    if columns == ["score"]:
        with pytest.raises(CorruptFileError, match=r"shard-0000\.arrow"):
            cache.get(key, columns=columns)
        with pytest.raises(CorruptFileError, match=r"shard-0000\.arrow"):
            cache.get_many([key], columns=columns)
    else:
        assert cache.get(key, columns=columns) == right
        assert cache.get_many([key], columns=columns).drop_columns("found").to_pylist() == [right]
    path.write_bytes(content)


def test_a_damaged_shard_is_not_handed_on(tmp_path: Path) -> None:
    """An update that writes it anew, a comparison of versions and a roll through all rows end with the error."""
    cache = Cache("scores", tmp_path)
    old = cache.load(TABLE, key="number")
    cache.load(TABLE.slice(1), key="number")
    path = tmp_path / "scores" / "versions" / cache.version.id / "shard-0000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    reader = Cache("scores", tmp_path)

    for call in (
        lambda: reader.update(TABLE.slice(7, 1)),
        lambda: reader.diff(old.id).read_all(),
        lambda: list(reader._version().batches()),
    ):
        with pytest.raises(CorruptFileError, match=r"shard-0000\.arrow"):
            call()
    assert reader.rollback().id == old.id
    assert reader.get(7) == TABLE.slice(7, 1).to_pylist()[0]


def test_an_index_can_be_repaired_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    """Also where a version can't be opened for it: its checksums are damaged, or it is cut short, or gone."""
    version = Cache("scores", tmp_path).load(TABLE, key="number")
    path = tmp_path / "scores" / "versions" / version.id / "shard-0000.idx"
    content = path.read_bytes()
    flipped = bytearray(content)
    start = len(content) - 4 * (-(-ROWS * 8 // 4096) + -(-path.with_suffix(".arrow").stat().st_size // 4096))
    flipped[start] ^= 1  # of the first block of the payload, which is read to open it

    for damaged in (bytes(flipped), content[:-1], None):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        cache = Cache("scores", tmp_path)
        with pytest.raises((CorruptFileError, ObjectNotFoundError), match=r"(?s)shard-0000\.(idx|arrow).*repair\(\)"):
            cache.get(1)
        with pytest.raises((CorruptFileError, ObjectNotFoundError), match=r"shard-0000\.idx"):
            cache.verify()
        assert cache.repair() == [path.name]
        assert path.read_bytes() == content
        assert cache.get(1) == LOADED[1]
