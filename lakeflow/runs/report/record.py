"""What a run left in its folder, read as it is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakeflow.runs.state.listing import SILENT_SECONDS
from lakeflow_io.errors import NotFoundError
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lakeflow.runs.state.journal import Journal

__all__ = ["RunRecord", "read_record"]

_READERS = 16  # records are kilobytes: their number of round trips is what costs
_MOST_TEXT = 8_000  # characters of a traceback or of what was printed: the end says what happened


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The files of a run's folder, as their JSON says."""

    plan: Mapping[str, Any]
    markers: Sequence[Mapping[str, Any]] = ()
    """Without what they say of their files."""
    failures: Sequence[Mapping[str, Any]] = ()
    status: Mapping[str, Any] | None = None
    seal: Mapping[str, Any] | None = None
    codes: Sequence[Mapping[str, Any]] = ()
    """Other code that the run went on with: `file` (its hash), `function`, `since`; in that order."""
    committed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    """By the output's name."""

    @property
    def quarantined(self) -> list[str]:
        """Ids of the shards, or parts of some, that the publication leaves out."""
        return [str(each) for each in (self.seal or {}).get("quarantined", ())]

    @property
    def done(self) -> int:
        """Shards that have ended well; one that was split counts when all its parts have."""
        split = (self.seal or {}).get("split", {})
        ids = {str(marker["shard"]) for marker in self.markers}
        whole = sum(1 for each in ids if "." not in each and each not in split)
        return whole + sum(1 for each, n in split.items() if all(f"{each}.{k + 1}of{n}" in ids for k in range(n)))

    @property
    def state(self) -> str:
        """`committed`, `partial`, `abandoned`, or what the driver said last; `planned` where it said no more."""
        if (self.seal or {}).get("state") == "abandoned":
            return "abandoned"
        if self.committed and len(self.committed) >= len(self.plan.get("outputs", ())):
            return "partial" if self.quarantined else "committed"
        status = self.status or {}
        said = str(status.get("state", "planned"))
        silent = time.time() - float(status.get("updated", 0)) > SILENT_SECONDS
        return "interrupted" if said == "running" and silent else said


def read_record(journal: Journal) -> RunRecord:
    """Read a run's folder; tracebacks and what was printed only so far as a page shows them.

    Raises:
        NotFoundError: there is no such run.
        CorruptFileError: a file in it isn't JSON.
        StoreError: the store failed.
    """
    plan = journal.read("plan.json")
    if plan is None:
        raise NotFoundError(f"There is no run in {journal.folder}.", "lakeflow runs lists those that there are.")
    committed = {output["name"]: journal.read(f"committed/{output['name']}.json") for output in plan["outputs"]}
    return RunRecord(
        plan=plan,
        markers=[{name: value for name, value in each.items() if name != "files"} for each in _all(journal, "done")],
        failures=[_trimmed(each) for each in _all(journal, "failed")],
        codes=sorted(_all(journal, "code"), key=lambda each: str(each.get("since"))),
        status=journal.read("status.json"),
        seal=journal.read("seal.json"),
        committed={name: each for name, each in committed.items() if each is not None},
    )


def _all(journal: Journal, folder: str) -> Iterator[dict[str, Any]]:
    """Every record of a folder, with its file's name as `file`; one that is deleted meanwhile is left out."""
    found = [info.uri.rpartition("/")[2] for info in journal.transport.list(join(journal.folder, folder))]
    names = sorted(f"{folder}/{name}" for name in found if name.endswith(".json"))
    with ThreadPoolExecutor(_READERS, "lakeflow-report") as pool:
        for name, record in zip(names, pool.map(journal.read, names), strict=True):
            if record is not None:
                yield {**record, "file": name.rpartition("/")[2].removesuffix(".json")}


def _trimmed(failure: dict[str, Any]) -> dict[str, Any]:
    """Thousands of failures are held at one time."""
    return {**failure, **{name: _end(str(failure.get(name) or "")) for name in ("message", "traceback", "output")}}


def _end(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    return f"[{len(text) - _MOST_TEXT:,} characters left out]\n{text[-_MOST_TEXT:]}"
