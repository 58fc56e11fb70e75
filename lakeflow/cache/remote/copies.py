"""Local copies of a store's shards, shared by all processes of a machine, up to a number of bytes.

A file is copied to a name that nobody reads, compared with its checksum, and renamed: what has its name is
whole. Versions share copies as they share objects, because a copy lies under the version that wrote it. The
copy of a file never changes, so removing one costs whoever maps it nothing, and the next one a transfer.

    <folder>/kept/<which cache>/<version>/shard-0007.arrow
            /building/<version>/        what a publisher of this machine builds
            /locks/
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakeflow.cache.files.durable import exclusive, new_file
from lakeflow.cache.files.failures import writing
from lakeflow.cache.publishing.claim import claimed, sweep
from lakeflow_io.budget import parse_bytes
from lakeflow_io.errors import ConfigError, StoreError
from lakeflow_io.storage.immutable import places

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from lakeflow.cache.files.manifest import FileFacts

__all__ = ["Copies"]

_FOLDER, _LIMIT = "lakeflow.shard-cache.folder", "lakeflow.shard-cache.bytes"
_BYTES = 20 << 30  # a few versions of some GB
_FRESH_SECONDS = 60  # what was used so lately may be about to be mapped


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of one cache's files.

    Raises:
        ConfigError: there is no home folder to put them into.
        InputError: the limit is no size.
    """

    folder: Path
    """Of all copies of all caches."""
    limit: int
    """Bytes of all copies of all caches."""
    cache: str
    """What tells the cache from others, as a folder's name."""

    @classmethod
    def of(cls, uri: str, storage: Mapping[str, str]) -> Copies:
        """Where the copies of the cache at `uri` lie."""
        try:
            base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lakeflow" / "shards"
            folder = Path(storage.get(_FOLDER) or base).expanduser().absolute()
        except RuntimeError:
            message = "There is no home folder for the local copies of shards."
            raise ConfigError(message, f"set {_FOLDER}, or $XDG_CACHE_HOME.") from None
        which = "\0".join([uri, *places(storage)])
        digest = hashlib.blake2b(which.encode(), digest_size=16).hexdigest()
        return cls(folder, parse_bytes(storage.get(_LIMIT) or _BYTES), digest)

    def home(self, version: str) -> Path:
        """The folder for the files that a version wrote."""
        return self.folder / "kept" / self.cache / Path(version).name

    def has(self, version: str, file: FileFacts) -> bool:
        """Whether a file is here, whole; it counts as used."""
        path = self.home(version) / Path(file.name).name
        try:
            if path.stat().st_size != file.bytes:
                return False
            os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except PermissionError:
            return True  # somebody else's copy, read-only for us
        return True

    @contextmanager
    def alone(self, version: str) -> Generator[None]:
        """Keep other processes from copying the same files meanwhile."""
        locks = self.folder / "locks"
        with writing(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            locks.mkdir(exist_ok=True)
        # Of a fixed number, so that none has to be removed, which can't be done while another waits for it.
        with exclusive(locks / f"{zlib.crc32(f'{self.cache}/{version}'.encode()) % 256:02x}"):
            yield

    def keep(self, version: str, file: FileFacts, content: Iterable[memoryview]) -> None:
        """Put a file in place; who calls has it `alone`.

        Args:
            version: That wrote it.
            file: What the manifest says of it.
            content: Its bytes, which raise where they aren't what the manifest says.

        Raises:
            StoreFullError, AccessDeniedError: there is no room, or no right to write.
        """
        path = self.home(version) / Path(file.name).name
        draft = path.with_name(path.name + ".part")
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with new_file(draft) as target:
                for part in content:
                    target.write(part)
            with writing(path):
                draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def drop(self, version: str, file: FileFacts) -> None:
        """Let a copy go."""
        path = self.home(version) / Path(file.name).name
        with writing(path):
            path.unlink(missing_ok=True)

    @contextmanager
    def building(self) -> Generator[Path]:
        """A folder with the name of a new version, for as long as the block lasts."""
        with claimed(self.folder / "building", self.folder / "lock", lambda: None) as folder:
            yield folder

    def adopt(self, folder: Path) -> None:
        """Keep what was built in a folder as copies of the version of its name."""
        home = self.home(folder.name)
        with writing(home):
            home.mkdir(parents=True, exist_ok=True)
            for path in folder.glob("shard-*"):
                path.replace(home / path.name)
        self.make_room()

    def clear_builds(self) -> None:
        """Remove what builds and tasks left that were killed, where that can be."""
        with suppress(OSError, StoreError):
            if (self.folder / "building").is_dir():
                with exclusive(self.folder / "lock"):
                    sweep(self.folder / "building", None)

    def make_room(self) -> None:
        """Remove what was used least lately, until the rest is within the limit, and what dead builds left.

        What can't be removed stays, and nobody's reading fails for it.
        """
        self.clear_builds()
        found: list[tuple[float, int, Path]] = []
        for parent, _, names in os.walk(self.folder / "kept"):
            for name in names:
                path = Path(parent) / name
                try:
                    seen = path.stat()
                except FileNotFoundError:
                    continue
                found.append((seen.st_mtime, seen.st_size, path))
        excess = sum(size for _, size, _ in found) - self.limit
        for used, size, path in sorted(found):
            if excess <= 0 or used > time.time() - _FRESH_SECONDS:
                return
            with suppress(OSError):
                path.unlink()
                excess -= size
