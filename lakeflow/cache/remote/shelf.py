"""A cache on an object store: `<root>/<name>/CURRENT`, replaced by conditional puts, and immutable objects.

    <root>/<name>/CURRENT
                 /versions/<id>/manifest.json, shard-0007.arrow, shard-0007.idx
                 /building/<id>          claims, see `lease.py`
                 /staging/               segments of runs under way

A shard that two versions share is one object, under the version that wrote it; the manifest of the later one
names both. So a version can be removed only with a look at the manifests of all others, see `sweep.py`.
"""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from lakeflow.cache.files.durable import checksum
from lakeflow.cache.files.manifest import MANIFEST_NAME, parse_manifest
from lakeflow.cache.files.pointer import Pointer
from lakeflow.cache.files.verify import check_sum
from lakeflow.cache.reading.version import OpenVersion
from lakeflow.cache.remote.copies import Copies
from lakeflow.cache.remote.fetch import parts
from lakeflow.cache.remote.lease import leased
from lakeflow.cache.remote.reader import ObjectReader
from lakeflow.cache.remote.segments import ObjectSegments
from lakeflow.cache.remote.send import send
from lakeflow.cache.remote.shards import ObjectShards
from lakeflow.cache.remote.sweep import finished, sweep
from lakeflow_io.errors import (
    CommitConflictError,
    CorruptFileError,
    LakeflowError,
    ObjectNotFoundError,
    StoreError,
)
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lakeflow.cache.files.manifest import FileFacts, Manifest, ShardFacts
    from lakeflow_io.storage import Transport

__all__ = ["ObjectShelf"]

_GRACE_SECONDS = 3600.0  # a reader fetches a shard when it first needs it, and may be long in reading a version
_UPLOADS = 4  # files at once, each with a few parts under way


@dataclass(frozen=True, slots=True)
class ObjectShelf:
    """One cache; see `Shelf` for its verbs."""

    root: str
    """URI, without a slash at its end."""
    name: str
    storage: dict[str, str] = field(repr=False)

    @property
    def grace(self) -> float:
        """An hour, for readers."""
        return _GRACE_SECONDS

    @property
    def uri(self) -> str:
        """The cache's folder."""
        return f"{self.root}/{self.name}"

    @property
    def place(self) -> str:
        """As `uri`."""
        return self.uri

    @property
    def versions(self) -> str:
        """URI of the folder with a folder for each version."""
        return join(self.uri, "versions")

    @property
    def transport(self) -> Transport:
        """How to reach it; one for the whole process."""
        return open_transport(self.storage)

    @property
    def copies(self) -> Copies:
        """Where local copies lie."""
        return Copies.of(self.uri, self.storage)

    def claim(self, version: str) -> str:
        """URI of a builder's claim on a version; of the folder of all claims where it is empty."""
        return f"{self.uri}/building/{version}"

    def read_pointer(self) -> Pointer | None:
        """Fetch `CURRENT`."""
        try:
            found = self.transport.get_if_changed(self._pointer)
        except ObjectNotFoundError:
            return None
        return Pointer.parse(found[0], self._pointer, found[1]) if found else None

    def has_changed(self, tag: str | None) -> bool:
        """Ask whether `CURRENT` has another tag; also where it isn't there any more."""
        try:
            return self.transport.get_if_changed(self._pointer, tag) is not None
        except ObjectNotFoundError:
            return True

    def change(self, decide: Callable[[Pointer | None], Pointer | None]) -> bool:
        """Replace `CURRENT` if it is as it was read, again where it isn't: then somebody else got ahead."""
        while True:
            old = self.read_pointer()
            new = decide(old)
            if new is None or new == old:
                return False
            for version in set(new.published).difference(old.published if old else ()):
                self._need_claim(version)
            if self.replace(old, new):
                return True

    def replace(self, old: Pointer | None, new: Pointer) -> bool:
        """Replace `CURRENT` if it is `old`; tell whether it was."""
        content = new.to_json(write=uuid4().hex)  # also for stores whose tags are digests: no two are the same
        try:
            if old is None:
                done = self.transport.put_if_absent(self._pointer, content)
            else:
                done = self.transport.put_if_unchanged(self._pointer, content, str(old.stamp))
        except StoreError:
            with suppress(LakeflowError):
                if self._says(content):
                    return True
            raise
        return done or self._says(content)  # it was sent twice, where the first answer was lost

    def finished(self) -> list[str]:
        """Folders with a manifest."""
        return finished(self)

    def restore(self, pointer: Pointer) -> bool:
        """Put `CURRENT` if it is as it was found."""
        content = pointer.to_json(write=uuid4().hex)
        try:
            found = self.transport.get_if_changed(self._pointer)
        except ObjectNotFoundError:
            return self.transport.put_if_absent(self._pointer, content)
        if found is None:
            return False
        try:
            Pointer.parse(found[0], self._pointer, found[1])
        except CorruptFileError:
            return self.transport.put_if_unchanged(self._pointer, content, found[1])
        return False

    def manifest(self, version: str) -> Manifest:
        """Fetch a version's manifest."""
        uri = join(self.versions, version, MANIFEST_NAME)
        return parse_manifest(self.transport.get(uri), uri)

    def open(self, manifest: Manifest, built: Path | None = None) -> OpenVersion:
        """Open a version, of which nothing is fetched before it is needed."""

        def home(shard: ShardFacts) -> Path:
            own = built is not None and shard.owner == manifest.version
            return built if built is not None and own else self.home(manifest.version, shard)

        return OpenVersion.of(manifest, lambda key: ObjectShards(manifest.shards, home, key))

    def home(self, version: str, shard: ShardFacts) -> Path:
        """Fetch a shard, unless it is here."""
        del version
        return self._fetched(shard, *shard.files)

    @contextmanager
    def claimed(self) -> Generator[Path]:
        """A local folder, and a claim in the store on the version of its name."""
        with self.copies.building() as folder:
            try:
                with leased(self.transport, self.claim(folder.name)):
                    yield folder
            finally:
                self._settle(folder)

    def scratch(self) -> AbstractContextManager[Path]:
        """A local folder."""
        return self.copies.building()

    def reuse(self, base: str, shard: ShardFacts, folder: Path, number: int) -> ShardFacts:
        """The same objects: nothing is copied, or sent."""
        del base, folder, number
        return shard

    def complete(self, folder: Path, manifest: Manifest) -> None:
        """Send a version's own files, then its manifest, and see that all is there."""
        own = [file for shard in manifest.shards if shard.owner == manifest.version for file in shard.files]
        target = join(self.versions, manifest.version)
        with ThreadPoolExecutor(_UPLOADS) as pool:
            list(pool.map(partial(send, self.transport), [folder / file.name for file in own],
                          [join(target, file.name) for file in own]))  # fmt: skip
        self.transport.put(join(target, MANIFEST_NAME), manifest.to_json())
        self.whole(manifest)

    def whole(self, manifest: Manifest) -> None:
        """Compare sizes as the store lists them."""
        owners = {shard.owner for shard in manifest.shards}
        sizes = {each.uri: each.size for owner in owners for each in self.transport.list(join(self.versions, owner))}
        for shard in manifest.shards:
            for file in shard.files:
                uri = self._object(shard, file)
                if uri not in sizes:
                    message = f"{uri} is gone, though the cache says that it exists."
                    raise ObjectNotFoundError(message, "roll back to another version, or build it again.")
                if sizes[uri] != file.bytes:
                    message = f"{uri} has {sizes[uri]} bytes; the manifest says {file.bytes}."
                    raise CorruptFileError(message, "roll back to another version, or build it again.")

    def sweep(self) -> dict[str, int]:
        """Delete objects, and what builds left on this machine that died."""
        self.copies.clear_builds()
        return sweep(self)

    def objects(self, manifest: Manifest) -> Iterator[str]:
        """Yield the URIs of all objects that a version needs."""
        yield join(self.versions, manifest.version, MANIFEST_NAME)
        for shard in manifest.shards:
            for file in shard.files:
                yield self._object(shard, file)

    def verify_file(self, version: str, shard: ShardFacts, file: FileFacts) -> None:
        """Read an object; a local copy of it that is damaged goes, to be fetched again."""
        del version
        for _ in self._content(shard, file):
            pass
        if self.copies.has(shard.owner, file):
            path = self.copies.home(shard.owner) / file.name
            if checksum(path) != file.crc32:
                self.copies.drop(shard.owner, file)

    def replace_file(self, version: str, shard: ShardFacts, file: FileFacts, content: bytes) -> None:
        """Put the object anew."""
        del version
        self.transport.put(self._object(shard, file), content)
        self.copies.drop(shard.owner, file)

    def payload(self, version: str, shard: ShardFacts) -> Path:
        """Fetch a shard's payload, unless it is here."""
        del version
        return self._fetched(shard, shard.payload)

    def stored_bytes(self) -> int:
        """Of all objects, as the store lists them."""
        return sum(each.size for each in self.transport.list(self.uri))

    def segments(self) -> ObjectSegments:
        """Objects."""
        return ObjectSegments(join(self.uri, "staging"), self.storage)

    def reader(self, refresh: float) -> ObjectReader:
        """Asks for `CURRENT` now and then."""
        return ObjectReader(self, refresh)

    @property
    def _pointer(self) -> str:
        return join(self.uri, "CURRENT")

    def _object(self, shard: ShardFacts, file: FileFacts) -> str:
        return join(self.versions, shard.owner, file.name)

    def _says(self, content: bytes) -> bool:
        try:
            return bytes(self.transport.get(self._pointer)) == content
        except ObjectNotFoundError:
            return False

    def _need_claim(self, version: str) -> None:
        try:
            self.transport.get(self.claim(version))
        except ObjectNotFoundError:
            message = f"The claim on version {version} of {self.place} ran out before it was published."
            raise CommitConflictError(
                message, "build it again; the machine slept, or couldn't reach the store."
            ) from None

    def _settle(self, folder: Path) -> None:
        """Keep what was published as local copies; remove what wasn't. The next sweep does what fails here."""
        with suppress(LakeflowError):
            pointer = self.read_pointer()
            if pointer is not None and folder.name in pointer.published:
                self.copies.adopt(folder)
            else:
                self.sweep()

    def _fetched(self, shard: ShardFacts, *files: FileFacts) -> Path:
        copies, owner = self.copies, shard.owner
        if not all(copies.has(owner, file) for file in files):
            with copies.alone(owner):
                for file in files:
                    if not copies.has(owner, file):
                        with closing(self._content(shard, file)) as content:
                            copies.keep(owner, file, content)
            copies.make_room()
        return copies.home(owner)

    def _content(self, shard: ShardFacts, file: FileFacts) -> Generator[memoryview]:
        """Yield an object's bytes; ends in an error where they aren't what the manifest says."""
        uri, seen = self._object(shard, file), 0
        with closing(parts(self.transport, uri, file.bytes)) as content:
            for part in content:
                seen = zlib.crc32(part, seen)
                yield part
        check_sum(uri, seen, file)
