"""A run's state in the warehouse: what was planned, done, failed, agreed and published.

    <location>/_lakeflow/runs/<run id>/plan.json
                                      /done/shard-00007.json
                                      /failed/shard-00007-a0.json
                                      /code/<hash>.json
                                      /shared/names-<digest>.arrow
                                      /seal.json
                                      /packed/<output>/<first>-<last>.json
                                      /committed/<output>.json
                                      /status.json, abandoned.json

Everything but `status.json`, which is for people, is put if absent: the first writer wins, whoever it is, and
storage is the arbiter. The folder lies in the first output's own folder, since a catalog may let nobody write
anywhere else (a table bucket of S3 Tables refuses keys outside of a table).

A journal over a `MemoryTransport` is a fake that does all of it.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.names import check_run_id
from lakeflow.runs.failures import Failure
from lakeflow.runs.plan import RunPlan
from lakeflow.runs.state.done import Done
from lakeflow.runs.state.seal import Seal
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError, UnsupportedError
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lakeflow_io.storage import Transport

__all__ = ["RUNS", "Journal"]

RUNS = "_lakeflow/runs"
"""Where in an output's folder its runs lie."""

_log = logging.getLogger("lakeflow.runs")
_READERS = 16  # markers are kilobytes: their number of round trips is what costs


@dataclass(frozen=True, slots=True)
class Journal:
    """Reads and writes one run's folder."""

    transport: Transport
    folder: str
    """URI."""
    conditional: bool = True
    """Whether the store has conditional writes. Without them, one driver and one attempt a work at a time are safe."""

    @classmethod
    def of(cls, transport: Transport, location: str, run_id: str) -> Journal:
        """The journal of a run whose first output lies at `location`."""
        return cls(transport, join(location, RUNS, check_run_id(run_id)))

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.folder.rpartition("/")[2]

    @property
    def shared_folder(self) -> str:
        """URI of the folder for shared tables."""
        return join(self.folder, "shared")

    def adopt(self, plan: RunPlan) -> tuple[RunPlan, bool]:
        """Write the plan, or read the one that is there already.

        Returns:
            The plan that counts, and whether the store has conditional writes: some refuse the condition, others
            ignore it and write a second time.
        """
        uri = join(self.folder, "plan.json")
        stored = self._find(uri)
        if stored is None:
            stored = plan.to_json()
            if not self._put_if_absent(uri, stored):
                return RunPlan.from_json(self.transport.get(uri), uri), True
        conditional = self.is_conditional(stored)
        if not conditional:
            _log.warning(
                "The store of %s has no conditional writes: run %s makes no backup attempts, and is safe "
                "while one driver at a time runs it.", self.folder, plan.run_id,
            )  # fmt: skip
        return RunPlan.from_json(stored, uri), conditional

    def is_conditional(self, stored: bytes) -> bool:
        """Tell whether the store has conditional writes, by putting the plan, which is there, once more.

        Args:
            stored: The plan's bytes.
        """
        try:
            return not self.transport.put_if_absent(join(self.folder, "plan.json"), stored)
        except UnsupportedError:
            return False

    def plan(self) -> RunPlan | None:
        """What was planned; None where there is no such run."""
        uri = join(self.folder, "plan.json")
        stored = self._find(uri)
        return None if stored is None else RunPlan.from_json(stored, uri)

    def mark_code(self, plan: RunPlan) -> None:
        """Record that the run goes on with other code than it was begun with.

        Args:
            plan: What it goes on with.
        """
        record = {"format": 1, "function": plan.function, "since": plan.created, "owner": plan.owner}
        self._agree(f"code/{plan.code}.json", record, read=False)

    def mark_done(self, marker: dict[str, Any]) -> dict[str, Any]:
        """Record a finished work.

        Returns:
            The marker that counts, which is an earlier attempt's if that was faster; and `marker_bytes`, its size.
        """
        uri = join(self.folder, "done", f"{marker['shard']}.json")
        data = json.dumps(marker).encode()
        if self._put_if_absent(uri, data):
            return {**marker, "marker_bytes": len(data)}
        stored = self.transport.get(uri)
        return {**_parsed(stored, uri), "marker_bytes": len(stored)}

    def done(self, count: int) -> Done:
        """Which of `count` works have a marker, by a listing."""
        done = Done(count)
        for info in self.transport.list(join(self.folder, "done")):
            name = info.uri.rpartition("/")[2]
            if name.endswith(".json"):
                done.add(name.removesuffix(".json"), info.size)
        return done

    def markers(self, work_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Markers in the order of their works, read ahead a few at a time.

        Raises:
            ObjectNotFoundError: one isn't there.
        """
        return self._read_each(join(self.folder, "done", f"{work_id}.json") for work_id in work_ids)

    def mark_failed(self, failure: Failure, then: str) -> None:
        """Record a failed attempt, and what is done about it."""
        self._agree(f"failed/{failure.shard}-a{failure.attempt}.json", failure.record(then), read=False)

    def failures(self, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, list[Failure]]:
        """Failed attempts by work id, in the order of their numbers.

        Args:
            wanted: Of which works.
        """
        found = []
        for info in self.transport.list(join(self.folder, "failed")):
            work_id, _, number = info.uri.rpartition("/")[2].removesuffix(".json").rpartition("-a")
            if number.isdigit() and wanted(work_id):
                found.append((work_id, int(number), info.uri))
        found.sort()
        history: dict[str, list[Failure]] = {}
        for record in self._read_each(uri for _, _, uri in found):
            history.setdefault(record["shard"], []).append(Failure.from_record(record))
        return history

    def seal(self, seal: Seal) -> Seal:
        """Agree on what is published, or that nothing is; returns the seal that counts."""
        return Seal.from_record(self._agree("seal.json", seal.record))

    def sealed(self) -> Seal | None:
        """What was agreed on, if anything was."""
        record = self.read("seal.json")
        return None if record is None else Seal.from_record(record)

    def mark_packed(self, output: str, name: str, record: dict[str, Any]) -> dict[str, Any]:
        """Record what a commit task wrote; returns the record that counts."""
        return self._agree(f"packed/{output}/{name}.json", record)

    def packed(self, output: str, name: str) -> dict[str, Any] | None:
        """What a commit task wrote, if one did."""
        return self.read(f"packed/{output}/{name}.json")

    def mark_committed(self, output: str, record: dict[str, Any]) -> None:
        """Record a publication; the output itself stays the authority."""
        self._agree(f"committed/{output}.json", record, read=False)

    def committed(self, output: str) -> dict[str, Any] | None:
        """The record of a publication, if there is one."""
        return self.read(f"committed/{output}.json")

    def published(self) -> bool:
        """Whether there is a record of the first output's publication: outputs are published in their order."""
        return any(True for _ in self.transport.list(join(self.folder, "committed")))

    def abandon(self, record: dict[str, Any]) -> dict[str, Any]:
        """Give up a run that is sealed for publication; returns the record that counts."""
        return self._agree("abandoned.json", record)

    def is_abandoned(self) -> bool:
        """Whether the run was given up, before it was sealed for publication or behind that."""
        seal = self.sealed()
        return seal is not None and (seal.state == "abandoned" or self.read("abandoned.json") is not None)

    def write_status(self, record: dict[str, Any]) -> None:
        """Say how far the run is."""
        self.transport.put(join(self.folder, "status.json"), json.dumps({"format": 1, **record}).encode())

    def clear(self, name: str) -> None:
        """Delete all that lies in a part of the folder: `shared`, or what a run has no use for that was given up."""
        for info in list(self.transport.list(join(self.folder, name))):
            self.transport.delete(info.uri)

    def read(self, name: str) -> dict[str, Any] | None:
        """A record by its name in the folder; None where it isn't there.

        Raises:
            CorruptFileError: it is no JSON.
        """
        uri = join(self.folder, name)
        data = self._find(uri)
        return None if data is None else _parsed(data, uri)

    def _agree(self, name: str, record: dict[str, Any], *, read: bool = True) -> dict[str, Any]:
        """Put a record if it is absent; returns the one that is there."""
        uri = join(self.folder, name)
        if self._put_if_absent(uri, json.dumps(record).encode()) or not read:
            return record
        return _parsed(self.transport.get(uri), uri)

    def _put_if_absent(self, uri: str, data: bytes) -> bool:
        if self.conditional:
            with suppress(UnsupportedError):  # whoever only found the run hasn't asked the store
                return self.transport.put_if_absent(uri, data)
        absent = self._find(uri) is None
        if absent:
            self.transport.put(uri, data)
        return absent

    def _find(self, uri: str) -> bytes | None:
        try:
            return bytes(self.transport.get(uri))
        except ObjectNotFoundError:
            return None

    def _read_each(self, uris: Iterable[str]) -> Iterator[dict[str, Any]]:
        def read(uri: str) -> dict[str, Any]:
            return _parsed(self.transport.get(uri), uri)

        waiting: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(_READERS, "lakeflow-journal") as pool:
            for uri in uris:
                waiting.append(pool.submit(read, uri))
                if len(waiting) > 2 * _READERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _parsed(data: bytes | memoryview, uri: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(bytes(data))
    except ValueError as error:
        raise CorruptFileError(f"{uri} is not JSON: {error}.", "delete it; its shard runs again.") from error
    return record
