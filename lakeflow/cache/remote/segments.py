"""Segments of a run's tasks as objects: written by workers anywhere, fetched by the driver that merges them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow.cache.durable import new_file
from lakeflow.cache.remote.fetch import parts
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
    def create(self, name: str) -> Generator[Any]:
        """An object that is sent while it is written, and visible once the block ends."""
        with open_transport(self.storage).open_output(self.uri(name)) as file:
            yield file

    def uri(self, name: str) -> str:
        """The object's."""
        return join(self.folder, name)

    def settle(self) -> None:
        """Nothing: an object that was written stays."""

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
