"""What is remembered of immutable objects is right or isn't there, and nothing that goes wrong is more than a miss."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow_io.errors import InputError
from lakeflow_io.storage import immutable
from lakeflow_io.storage.immutable import ImmutableCache

if TYPE_CHECKING:
    from collections.abc import Callable

URI = "s3://bucket/file.parquet"


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """A disk of its own, and a memory that can be emptied, as that of a process that begins."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def begin() -> None:
        monkeypatch.setattr(immutable, "_memory", immutable._Memory(immutable._MEMORY_BYTES))

    begin()
    return begin


def saved(data: bytes = b"footer", **properties: str) -> Path:
    """Keep one thing on disk; returns the file."""
    cache = ImmutableCache("footer", properties)
    cache.keep(URI, 100, data)
    cache.save()
    (file,) = Path(properties.get("lakeflow.metadata-cache.folder", os.environ["XDG_CACHE_HOME"])).rglob("*.sqlite")
    return file


def found(uri: str = URI, size: int = 100, kind: str = "footer", **properties: str) -> bytes | None:
    """What a scan is told of an object."""
    return ImmutableCache(kind, properties).find([(uri, size)])[0]


def test_another_process_finds_it(forget: Callable[[], None]) -> None:
    """From disk; and the same process without."""
    file = saved()

    assert found() == b"footer"
    forget()
    assert found() == b"footer"
    file.unlink()
    assert found() == b"footer"


def test_it_is_of_one_object_alone() -> None:
    """Another name, size, kind or endpoint is another object."""
    saved()

    assert found("s3://bucket/other.parquet") is None
    assert found(size=101) is None
    assert found(kind="manifest") is None
    assert found(**{"s3.endpoint": "http://elsewhere"}) is None
    assert found(**{"s3.access-key-id": "somebody else's"}) == b"footer"


def test_what_is_near_is_not_kept() -> None:
    """Local files and memory can be written again, and cost nothing to read."""
    cache = ImmutableCache("footer", {})
    for uri in ("/data/file.parquet", "file:///data/file.parquet", "memory://data/file.parquet"):
        cache.keep(uri, 100, b"footer")

        assert cache.find([(uri, 100)]) == [None]


def test_nobody_else_may_look(forget: Callable[[], None]) -> None:
    """Footers hold values of columns: the folder and the file are the user's."""
    del forget
    file = saved()

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    """The property says where."""
    chosen = {"lakeflow.metadata-cache.folder": str(tmp_path / "chosen")}

    assert saved(**chosen).parent == tmp_path / "chosen"
    assert found(**chosen) == b"footer"


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    """On disk and in memory."""
    none = {"lakeflow.metadata-cache.folder": "none"}
    cache = ImmutableCache("footer", none)
    cache.keep(URI, 100, b"footer")
    cache.save()

    assert found(**none) is None
    assert found() is None
    assert not list(tmp_path.iterdir())


def test_a_process_without_a_disk_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it read itself; nobody's home is no error."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", _homeless)

    ImmutableCache("footer", {}).keep(URI, 100, b"footer")

    assert found() == b"footer"
    assert not list(tmp_path.iterdir())


def _homeless(_: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("damage", [b"", b"no database at all", b"SQLite format 3\0" + bytes(4096)])
def test_a_damaged_file_is_begun_anew(damage: bytes, forget: Callable[[], None]) -> None:
    """It is a miss, and the next one is kept."""
    saved().write_bytes(damage)
    forget()

    assert found() is None
    saved()
    saved()
    forget()
    assert found() == b"footer"


def test_a_damaged_entry_is_a_miss(forget: Callable[[], None]) -> None:
    """Bytes that aren't those that were kept."""
    file = saved()
    forget()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE kept SET bytes = ?", (b"fooler",))
    database.close()

    assert found() is None


def test_a_locked_file_is_a_miss(forget: Callable[[], None]) -> None:
    """Nobody waits for another process that holds it."""
    file = saved()
    forget()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert found() is None
        saved(b"another")
    finally:
        other.close()


def test_a_folder_that_cannot_be_written_is_a_miss(tmp_path: Path, forget: Callable[[], None]) -> None:
    """A file in its place, here."""
    (tmp_path / "file").touch()
    properties = {"lakeflow.metadata-cache.folder": str(tmp_path / "file" / "below")}
    cache = ImmutableCache("footer", properties)
    cache.keep(URI, 100, b"footer")
    cache.save()
    forget()

    assert found(**properties) is None


def test_forgotten_is_forgotten(forget: Callable[[], None]) -> None:
    """By the process and on disk, saved or not."""
    saved()
    cache = ImmutableCache("footer", {})
    cache.keep("s3://bucket/b", 1, b"b")
    cache.forget([(URI, 100), ("s3://bucket/b", 1)])
    cache.save()

    assert cache.find([(URI, 100), ("s3://bucket/b", 1)]) == [None, None]
    forget()
    assert cache.find([(URI, 100), ("s3://bucket/b", 1)]) == [None, None]


def test_the_limits_hold(monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]) -> None:
    """On disk and in memory what was kept last stays."""
    limit = {"lakeflow.metadata-cache.bytes": "256 KiB"}
    monkeypatch.setattr(immutable, "_memory", immutable._Memory(50_000))
    cache = ImmutableCache("footer", limit)
    for number in range(1000):
        cache.keep(f"s3://bucket/{number}", 1, bytes(1000))
        if number % 100 == 99:
            cache.save()

    file = saved(**limit)
    assert file.stat().st_size < 2 * 256 * 1024
    in_memory = len(immutable._memory._kept)
    assert 40 <= in_memory <= 50
    forget()
    assert found(**limit) == b"footer"
    assert found("s3://bucket/999", 1, **limit) == bytes(1000)
    assert found("s3://bucket/0", 1, **limit) is None


def test_a_limit_must_be_a_size() -> None:
    """Said when a scan begins."""
    with pytest.raises(InputError):
        ImmutableCache("footer", {"lakeflow.metadata-cache.bytes": "lots"})


def test_what_is_too_large_is_not_kept() -> None:
    """A footer of megabytes is fetched each time."""
    cache = ImmutableCache("footer", {})
    cache.keep("s3://bucket/large", 1, bytes(4 * 2**20 + 1))

    assert cache.find([("s3://bucket/large", 1)]) == [None]


def test_processes_share_it(tmp_path: Path, forget: Callable[[], None]) -> None:
    """Four that write at once: the file stays whole, and has what was written while nobody held it."""
    script = (
        "import sys; from lakeflow_io.storage.immutable import ImmutableCache\n"
        "for number in range(50):\n"
        "    cache = ImmutableCache('footer', {})\n"
        "    cache.keep(f's3://bucket/{sys.argv[1]}-{number}', 1, sys.argv[1].encode())\n"
        "    cache.save()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(each)]) for each in range(4)]
    assert [each.wait() for each in running] == [0] * 4
    forget()

    cache = ImmutableCache("footer", {})
    kept = [cache.find([(f"s3://bucket/{who}-{number}", 1)])[0] for who in range(4) for number in range(50)]
    right = [str(who).encode() for who in range(4) for _ in range(50)]
    assert all(data in (None, wanted) for data, wanted in zip(kept, right, strict=True))
    assert sum(data is not None for data in kept) > 100
    with sqlite3.connect(next(tmp_path.rglob("*.sqlite"))) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


@given(st.dictionaries(st.text(min_size=1), st.binary(max_size=100), max_size=20))
def test_any_bytes_come_back(things: dict[str, bytes]) -> None:
    """Under any name."""
    cache = ImmutableCache("any", {})
    for name, data in things.items():
        cache.keep(f"s3://bucket/{name}", 1, data)
    cache.save()
    immutable._memory._kept.clear()

    assert cache.find([(f"s3://bucket/{name}", 1) for name in things]) == list(things.values())
