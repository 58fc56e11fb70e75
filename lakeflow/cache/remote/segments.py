"""Segments of a run's tasks as objects: written by workers anywhere, fetched by the driver that merges them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakeflow.cache.files.durable import new_file
from lakeflow.cache.remote.copies import Copies
from lakeflow.cache.remote.fetch import parts
from lakeflow.cache.remote.send import send
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

__all__ = ["ObjectSegments"]


@dataclass(frozen=True, slots=True)
class ObjectSegments:
    """See `Segments`."""

    folder: str
    """URI."""
    storage: dict[str, str] = field(repr=False)

    @contextmanager
    def writing(self) -> Generator[Path]:
        """A folder for local copies of shards, of which the files are sent when the block ends."""
        copies = Copies.of(self.folder, self.storage)
        copies.clear_builds()
        with copies.building() as folder:
            yield folder
            for path in folder.glob("*-*"):  # not what claims the folder
                send(open_transport(self.storage), path, self.uri(path.name))

    def uri(self, name: str) -> str:
        """The object's."""
        return join(self.folder, name)

    def listed(self) -> Iterator[tuple[str, int]]:
        """The objects of the folder."""
        for each in open_transport(self.storage).list(self.folder):
            yield each.uri.rpartition("/")[2], each.size

    def delete(self, name: str) -> None:
        """Delete an object."""
        open_transport(self.storage).delete(self.uri(name))

    def fetched(self, name: str, size: int, scratch: Path) -> Path:
        """Fetch an object."""
        path = scratch / name
        with closing(parts(open_transport(self.storage), self.uri(name), size)) as content, new_file(path) as target:
            for part in content:
                target.write(part)
        return path
