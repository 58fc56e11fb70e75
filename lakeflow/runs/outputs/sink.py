"""The seam between a run and what it writes into: a table's snapshot, or a cache's version.

A run has two sides, and so has its output. Workers stage: they write immutable files that nobody
sees yet and describe them in JSON. The driver publishes: one atomic step that makes all of them
visible, labelled with the run's id so that a second try can find it. What is in between, when there
are many files, workers can do too: they pack descriptions into what the driver then only names.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pyarrow as pa

    from lakeflow_io.iceberg.pack import PackedManifest

__all__ = ["Packer", "Publication", "RowWriter", "RunLabel", "ShardWriter", "Sink"]


@dataclass(frozen=True, slots=True)
class RunLabel:
    """What a published output says about the run that made it."""

    run_id: str
    plan_digest: str
    source: str | None
    """The input: `table@snapshot`, several with commas between, or None where the items were no table shards."""
    shards: int
    rows_in: int
    """Rows that the function got, over all shards."""
    seconds: float
    """From the beginning of the driver that publishes to the moment before it does."""
    planned_on: int | None = None
    """The output's snapshot when the run was planned, against which what it replaces is checked."""
    quarantined: tuple[str, ...] = ()
    """Shards whose rows are not there."""
    folder: str = ""
    """URI of the run's folder."""
    output: str = ""
    """The output's name in the run."""
    function: str = ""
    """`module:qualified name` of the function."""
    code: str = ""
    """Its fingerprint."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One visible output of a run."""

    id: str
    """The snapshot id of a table, or the version id of a cache."""
    plan_digest: str
    rows: int
    """Rows written."""
    rows_in: int = 0
    """Rows that the function got; 0 where the output doesn't keep it."""
    seconds: float = 0.0
    """What the run took; 0 where the output doesn't keep it."""

    @property
    def record(self) -> dict[str, Any]:
        """As JSON."""
        facts = asdict(self)
        return {"format": 1, "publication": facts.pop("id"), **facts}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Publication:
        """From JSON."""
        facts = {key: value for key, value in record.items() if key not in ("format", "publication")}
        return cls(record["publication"], **facts)


class RowWriter(Protocol):
    """Writes what one attempt makes, as it comes."""

    def write(self, data: pa.Table) -> None:
        """Take rows over.

        Raises:
            SchemaError: they don't fit.
            StoreError: the store refused.
        """
        ...

    def close(self) -> list[dict[str, Any]]:
        """Write what is left; return the files' facts, ready for JSON.

        Every dict has at least `path` (a URI), `rows` and `bytes`. Nothing is visible to readers yet.
        """
        ...

    def discard(self) -> None:
        """Leave nothing behind, also after `close`."""
        ...


class ShardWriter(Protocol):
    """The worker's side: picklable, without a connection of its own until it writes."""

    def writer(self, name: str, memory: int) -> RowWriter:
        """What writes the files of one attempt.

        Args:
            name: How the files' names begin.
            memory: Bytes that it may hold.
        """
        ...

    def discard(self, staged: Sequence[dict[str, Any]]) -> None:
        """Delete staged files that lost; one that is gone already is no error."""
        ...


class Packer(Protocol):
    """The worker's side of a publication of many files: picklable."""

    def pack(self, name: str, staged: Iterable[dict[str, Any]]) -> list[PackedManifest]:
        """Write what `publish` is going to name, into files whose names begin with `name`."""
        ...


class Sink(Protocol):
    """The driver's side."""

    @property
    def location(self) -> str:
        """The URI of the folder under which the run keeps its state."""
        ...

    @property
    def store_properties(self) -> dict[str, str]:
        """How to reach `location`: catalog properties, with credentials."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON facts that are part of the plan: another output is another plan."""
        ...

    def settings(self) -> dict[str, Any]:
        """JSON facts of how it publishes: no part of the plan, but who resumes the run from its id goes by them."""
        ...

    def head(self) -> int | None:
        """The newest snapshot, as it was last seen; None where there is none, and where it makes no difference."""
        ...

    def writer(self) -> ShardWriter:
        """The worker's side, to be shipped with each task."""
        ...

    def packer(self) -> Packer | None:
        """The worker's side of publishing many files; None where the driver does it alone."""
        ...

    def find(self, run_id: str) -> Publication | None:
        """What this run published earlier, if it did, looked up anew."""
        ...

    def publish(
        self,
        label: RunLabel,
        staged: Sequence[dict[str, Any]],
        packed: Sequence[PackedManifest] = (),
        check: Callable[[], None] = lambda: None,
    ) -> Publication:
        """Make all staged files visible in one atomic step; once for a run.

        Args:
            label: The run.
            staged: What writers described.
            packed: More of them, as the packer made them.
            check: Called before each try; what it raises ends them.

        Raises:
            CommitConflictError: another writer won; nothing is visible.
        """
        ...
