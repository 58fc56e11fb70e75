"""Where the cache lies: in a folder, or on an S3 server, with a machine of its own for each who works at it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lakeflow as lf
import lakeflow.cache.remote.lease
from benchmarks.cache.kills.rows import NAME, PARTS
from lakeflow.runs.state.journal import Journal
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from lakeflow.cache.local import LocalShelf
    from lakeflow.cache.remote.shelf import ObjectShelf

__all__ = ["GRACE_SECONDS", "LEASE_SECONDS", "Place"]

GRACE_SECONDS = 3.0
"""For which versions stay on a store, where readers fetch what they need when they need it."""
LEASE_SECONDS = 3.0
"""After which a claim on a store is a dead builder's; an hour would keep the benchmark waiting."""
_REFRESH_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """A cache, from one process; can be pickled."""

    root: str
    """A folder, or a URL."""
    storage: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    machines: str = ""
    """A folder with the local copies of each machine."""
    machine: str = "here"

    @property
    def is_store(self) -> bool:
        """Whether objects are kept, and no files."""
        return "://" in self.root

    def seen_from(self, machine: str) -> Place:
        """The same cache, as another machine has it."""
        return replace(self, machine=machine)

    def cache(self, **options: Any) -> lf.Cache:
        """The cache as this machine has it; `options` are those of `Cache`."""
        if not self.is_store:
            return lf.Cache(NAME, self.root, **options)
        lakeflow.cache.remote.lease.LEASE_SECONDS = LEASE_SECONDS
        copies = {"lakeflow.shard-cache.folder": str(Path(self.machines) / self.machine)}
        defaults: dict[str, Any] = {"refresh": _REFRESH_SECONDS, "grace": GRACE_SECONDS}
        return lf.Cache(NAME, self.root, storage={**self.storage, **copies}, **{**defaults, **options})

    @property
    def shelf(self) -> LocalShelf | ObjectShelf:
        """What the cache lies on."""
        shelf: LocalShelf | ObjectShelf = self.cache()._shelf  # type: ignore[assignment]  # noqa: SLF001
        return shelf

    def done_parts(self, run_id: str) -> set[int]:
        """The tasks of a run that have a marker, and so needn't run again."""
        shelf = self.shelf
        journal = Journal.of(open_transport(shelf.storage), shelf.uri, run_id)
        done = journal.done(PARTS)
        return {part for part in range(PARTS) if f"item-{part:05d}" in done}
