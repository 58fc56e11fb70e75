"""A cache in a folder of a file system: `<root>/<name>/CURRENT`, and one folder for each version.

Publishers, rollbacks and collections hold a lock that the kernel lets go of where they die. A shard that
two versions share has a name, a hard link, in the folder of each: so each folder is whole by itself, the
file system counts who needs a file, and a version can be removed without a look at any other.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeflow.cache.building.adopt import linked
from lakeflow.cache.files import durable
from lakeflow.cache.files.durable import exclusive, sync_folder
from lakeflow.cache.files.failures import writing
from lakeflow.cache.files.index import check_size
from lakeflow.cache.files.manifest import MANIFEST_NAME, read_manifest
from lakeflow.cache.files.pointer import read_consistently, read_pointer, write_pointer
from lakeflow.cache.files.shard import open_shard
from lakeflow.cache.files.turns import TURNS_NAME, mapped_turns
from lakeflow.cache.files.verify import verify_file
from lakeflow.cache.publishing.claim import claimed, finished, sweep
from lakeflow.cache.reading.reader import never_published, open_current
from lakeflow.cache.reading.seen import Seen
from lakeflow.cache.reading.version import OpenVersion
from lakeflow.cache.stats import disk_bytes
from lakeflow_io.errors import CorruptFileError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lakeflow.cache.files.manifest import FileFacts, Manifest, ShardFacts
    from lakeflow.cache.files.pointer import Pointer, Stamp
    from lakeflow.cache.files.turns import Turns

__all__ = ["LocalReader", "LocalSegments", "LocalShelf"]


@dataclass(frozen=True, slots=True)
class LocalShelf:
    """The folder of one cache; see `Shelf` for its verbs."""

    folder: Path
    """Absolute; its name is the cache's."""

    @property
    def grace(self) -> float:
        """None: what a reader has mapped stays readable when its names are gone."""
        return 0.0

    @property
    def name(self) -> str:
        """The cache's name."""
        return self.folder.name

    @property
    def root(self) -> str:
        """The folder that holds it."""
        return str(self.folder.parent)

    @property
    def place(self) -> str:
        """The cache's folder."""
        return str(self.folder)

    @property
    def uri(self) -> str:
        """The cache's folder, as a file URI."""
        return self.folder.as_uri()

    @property
    def storage(self) -> dict[str, str]:
        """Nothing: a folder needs no credentials."""
        return {}

    @property
    def versions(self) -> Path:
        """One folder per version, published or being built."""
        return self.folder / "versions"

    @property
    def pointer(self) -> Path:
        """The file that names the current version and the published ones."""
        return self.folder / "CURRENT"

    @property
    def turns(self) -> Path:
        """The number by which readers know that the pointer is what it was."""
        return self.folder / TURNS_NAME

    @property
    def lock(self) -> Path:
        """Held while versions are claimed, published, rolled back or removed."""
        return self.folder / "lock"

    def read_pointer(self) -> Pointer | None:
        """Read `CURRENT`."""
        return read_pointer(self.pointer)

    def change(self, decide: Callable[[Pointer | None], Pointer | None]) -> bool:
        """Replace `CURRENT`, while nobody else can."""
        with exclusive(self.lock):
            old = read_pointer(self.pointer)
            new = decide(old)
            if new is None or new == old:
                return False
            write_pointer(self.pointer, new)
            return True

    def finished(self) -> list[str]:
        """Folders with a manifest."""
        return finished(self.versions)

    def restore(self, pointer: Pointer) -> bool:
        """Write `CURRENT`, while nobody else can."""
        with exclusive(self.lock):
            with suppress(CorruptFileError):
                if read_pointer(self.pointer) is not None:
                    return False
            write_pointer(self.pointer, pointer)
            return True

    def manifest(self, version: str) -> Manifest:
        """Read a version's manifest."""
        return read_manifest(self.folder.joinpath("versions", version))

    def open(self, manifest: Manifest, built: Path | None = None) -> OpenVersion:
        """Map every shard: a request sees the version whole, even if it is removed."""
        folder = built or self.folder.joinpath("versions", manifest.version)
        return OpenVersion.of(manifest, lambda key: [open_shard(folder, facts, key) for facts in manifest.shards])

    def home(self, version: str, shard: ShardFacts) -> Path:
        """The version's folder, in which all of its shards have a name."""
        del shard
        return self.versions / version

    def claimed(self) -> AbstractContextManager[Path]:
        """A folder that only this process builds in."""
        return claimed(self.versions, self.lock, self.read_pointer)

    def scratch(self) -> AbstractContextManager[Path]:
        """A folder beside the versions, which is swept up with what builds leave."""
        return self.claimed()

    def reuse(self, base: str, shard: ShardFacts, folder: Path, number: int) -> ShardFacts:
        """Give a shard's files their name in another version."""
        return linked(self.versions / base, shard, folder, number)

    def complete(self, folder: Path, manifest: Manifest) -> None:
        """Write the manifest beside its files."""
        durable.replace(folder / MANIFEST_NAME, manifest.to_json())
        sync_folder(self.versions)

    def whole(self, manifest: Manifest) -> None:
        """Compare sizes."""
        for file in manifest.files:
            check_size(self.versions / manifest.version / file.name, file)

    def sweep(self) -> dict[str, int]:
        """Remove folders that nothing lists and nobody builds in."""
        if not self.versions.is_dir():  # before the lock, whose folder a mistyped name doesn't have
            raise NotFoundError(f"{self.place} has no version yet.", "check the name and the folder.")
        with exclusive(self.lock), writing(self.versions):
            durable.draft_of(self.pointer).unlink(missing_ok=True)
            return sweep(self.versions, read_pointer(self.pointer))

    def verify_file(self, version: str, shard: ShardFacts, file: FileFacts) -> None:
        """Read one file."""
        verify_file(self.home(version, shard) / file.name, file)

    def replace_file(self, version: str, shard: ShardFacts, file: FileFacts, content: bytes) -> None:
        """Replace the file in one step."""
        durable.replace(self.home(version, shard) / file.name, content)

    def payload(self, version: str, shard: ShardFacts) -> Path:
        """As `home`."""
        return self.home(version, shard)

    def stored_bytes(self) -> int:
        """Of all files, each once, whatever number of names it has."""
        return disk_bytes(self.folder)

    def segments(self) -> LocalSegments:
        """Files that every worker and the driver must see under the same path."""
        return LocalSegments(self.folder / "staging")

    def reader(self, refresh: float) -> LocalReader:
        """Sees at every request what is published by then."""
        del refresh
        return LocalReader(self)


@dataclass(frozen=True, slots=True)
class LocalSegments:
    """Segments in a folder; see `Segments`."""

    folder: Path

    @contextmanager
    def writing(self) -> Generator[Path]:
        """The folder itself, whose list of names is flushed when the block ends."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        yield self.folder
        sync_folder(self.folder)

    def uri(self, name: str) -> str:
        """A file URI."""
        return (self.folder / name).as_uri()

    def listed(self) -> Iterator[tuple[str, int]]:
        """The files of the folder."""
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        yield entry.name, entry.stat().st_size
        except FileNotFoundError:
            return

    def delete(self, name: str) -> None:
        """Delete a file."""
        path = self.folder / name
        with writing(path):
            path.unlink(missing_ok=True)

    def fetched(self, name: str, size: int, scratch: Path) -> Path:
        """The file itself."""
        del size, scratch
        return self.folder / name


class LocalReader:
    """Follows `CURRENT`; see `Reader`.

    Args:
        shelf: The cache's folder.
    """

    def __init__(self, shelf: LocalShelf) -> None:
        self._shelf = shelf
        self._path, self._turns_path = str(shelf.pointer), shelf.turns
        self._seen: Seen | None = None
        self._turns: Turns | None = None

    def version(self) -> OpenVersion:
        """The version that is current now; a publish shows as another number in mapped memory."""
        seen = self._seen
        if seen is None or not seen.holds():
            seen = self._seen = self._look(seen)
        return seen.opened

    def _look(self, seen: Seen | None) -> Seen:
        """Look at the pointer, and open what it names where it is another one."""
        if seen is not None:
            turn = seen.turn_now()  # before the pointer is looked at: whoever replaces it later changes that
            if self._stamp() == seen.stamp:
                return Seen.of(seen.opened, seen.stamp, seen.turns, turn)
        self._turns = mapped_turns(self._turns_path, self._turns)
        turns = self._turns.number if self._turns else None
        turn = turns[0] if turns else 0
        stamp, opened = read_consistently(self._shelf.read_pointer, self._open)
        return Seen.of(opened, stamp, turns, turn)

    def _stamp(self) -> Stamp:
        try:
            found = os.stat(self._path)  # noqa: PTH116  (half the time of Path.stat)
        except (FileNotFoundError, NotADirectoryError):
            raise never_published(self._shelf) from None
        return (found.st_mtime_ns, found.st_ino)

    def expire(self) -> None:
        """Nothing: who publishes changes the number."""

    def fetch(self) -> None:
        """Nothing: what is mapped is at hand."""

    def _open(self, pointer: Pointer | None) -> tuple[Stamp | None, OpenVersion]:
        return pointer.stamp if pointer else None, open_current(self._shelf, pointer)
