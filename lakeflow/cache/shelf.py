"""The seam between a cache and where its files are: folders of a file system, or objects of a store.

What a version is made of, how it is checked and how it is read is the same everywhere: files of Arrow in a
local folder, mapped. A shelf says how such a folder becomes a version, how a version becomes a folder, and
how the pointer is replaced. `local.py` and `remote/shelf.py` are the two there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lakeflow.cache.files.manifest import FileFacts, Manifest, ShardFacts
    from lakeflow.cache.files.pointer import Pointer
    from lakeflow.cache.files.shard import Shard
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["Reader", "Segments", "Shards", "Shelf"]


class Shards(Protocol):
    """The shards of a version, each mapped when it is first asked for, or before."""

    def __getitem__(self, number: int, /) -> Shard: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Shard]: ...


class Reader(Protocol):
    """Which version a request reads."""

    def version(self) -> OpenVersion:
        """The version to read now: a request asks once.

        Raises:
            NotFoundError: nothing was published, or the version isn't there any more.
            StoreError, CorruptFileError, UnsupportedError: it can't be opened.
        """
        ...

    def expire(self) -> None:
        """Have the next request see what is published by now."""
        ...

    def fetch(self) -> None:
        """Have all files at hand, now and of each later version before it is read."""
        ...


class Segments(Protocol):
    """Where tasks put what they write, for the driver to merge; picklable."""

    def writing(self) -> AbstractContextManager[Path]:
        """A local folder; what was written into it stays where segments are when the block ends without an error."""
        ...

    def uri(self, name: str) -> str:
        """The segment's, as facts have it."""
        ...

    def listed(self) -> Iterator[tuple[str, int]]:
        """The name of each file that is there, finished or not, and its bytes."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is no error."""
        ...

    def fetched(self, name: str, size: int, scratch: Path) -> Path:
        """A local file with its content, of `size` bytes, in the folder `scratch` where it has to be fetched.

        Raises:
            ObjectNotFoundError: it isn't there.
        """
        ...


class Shelf(Protocol):
    """Where the versions of one cache are; picklable. Its verbs raise the tree's StoreErrors."""

    @property
    def grace(self) -> float:
        """Seconds that a version stays after it was current, where nobody says otherwise."""
        ...

    @property
    def name(self) -> str:
        """The cache's name."""
        ...

    @property
    def root(self) -> str:
        """The folder or URI that holds it and other caches."""
        ...

    @property
    def place(self) -> str:
        """The folder or URI of the cache itself, as messages name it."""
        ...

    @property
    def uri(self) -> str:
        """The same, as a URI."""
        ...

    @property
    def storage(self) -> dict[str, str]:
        """The storage properties that open it."""
        ...

    def read_pointer(self) -> Pointer | None:
        """What decides what readers see; None where nothing was ever published."""
        ...

    def change(self, decide: Callable[[Pointer | None], Pointer | None]) -> bool:
        """Replace the pointer in one step; tell whether it was.

        Args:
            decide: From the pointer to the next one, or None to leave it. It is called again where another
                process was faster, and what it raises leaves the pointer as it is.

        Raises:
            CommitConflictError: a version that is new in it is no longer claimed by who built it.
        """
        ...

    def finished(self) -> list[str]:
        """The versions that are whole as far as names tell, published or not, and nobody builds; sorted."""
        ...

    def restore(self, pointer: Pointer) -> bool:
        """Put a pointer where there is none, or one that can't be decoded; tell whether that was so."""
        ...

    def manifest(self, version: str) -> Manifest:
        """What a version says of itself.

        Raises:
            ObjectNotFoundError: there is no such version.
        """
        ...

    def open(self, manifest: Manifest, built: Path | None = None) -> OpenVersion:
        """Open a version for reading.

        Args:
            manifest: Its manifest.
            built: Where its own shards were just built.
        """
        ...

    def home(self, version: str, shard: ShardFacts) -> Path:
        """The local folder with a shard's files, which are fetched where they have to be."""
        ...

    def claimed(self) -> AbstractContextManager[Path]:
        """A local folder for a new version, named by its id; where the block ends without a publish, all of it goes."""
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """A local folder for what a build needs on its way; it goes with the block."""
        ...

    def reuse(self, base: str, shard: ShardFacts, folder: Path, number: int) -> ShardFacts:
        """Make a shard of version `base` the shard with this number of the version that is built in `folder`."""
        ...

    def complete(self, folder: Path, manifest: Manifest) -> None:
        """Bring a built version and its manifest to where readers look, whole; nobody sees it yet."""
        ...

    def whole(self, manifest: Manifest) -> None:
        """Compare the sizes of a version's files with its manifest.

        Raises:
            ObjectNotFoundError, CorruptFileError: one is gone, or of another size.
        """
        ...

    def sweep(self) -> dict[str, int]:
        """Remove what isn't published and what nobody builds; return the ids, and the bytes that were freed.

        Raises:
            NotFoundError: there is no such cache.
        """
        ...

    def verify_file(self, version: str, shard: ShardFacts, file: FileFacts) -> None:
        """Read a file and compare its checksum.

        Raises:
            ObjectNotFoundError, CorruptFileError: it is gone, or differs.
        """
        ...

    def replace_file(self, version: str, shard: ShardFacts, file: FileFacts, content: bytes) -> None:
        """Put a file of a shard in place."""
        ...

    def payload(self, version: str, shard: ShardFacts) -> Path:
        """The local folder with a shard's payload, whatever its other files are."""
        ...

    def stored_bytes(self) -> int:
        """Bytes of all files of the cache, also of builds and runs under way."""
        ...

    def segments(self) -> Segments:
        """Where tasks of a run put theirs."""
        ...

    def reader(self, refresh: float) -> Reader:
        """What follows the pointer.

        Args:
            refresh: Seconds between two looks at it, where one costs a request.
        """
        ...
