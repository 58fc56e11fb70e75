"""A run's state in the warehouse: a plan, a marker for each finished shard, a record of the commit.

    <location>/_lakeflow/runs/<run id>/plan.json
                                      /done/shard-00007.json
                                      /shared/names-<digest>.arrow
                                      /committed.json

Everything is put if absent: the first writer wins, whoever it is, and storage is the arbiter. The
folder lies in the output's own folder, since a catalog may let nobody write anywhere else (a
table bucket of S3 Tables refuses keys outside of a table).
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.names import check_run_id
from lakeflow.runs.plan import RunPlan
from lakeflow_io.errors import CorruptFileError, ObjectNotFoundError
from lakeflow_io.storage.location import join

if TYPE_CHECKING:
    from lakeflow_io.storage import Transport

__all__ = ["Journal"]

_READERS = 16  # markers are kilobytes: their number of round trips is what costs


@dataclass(frozen=True, slots=True)
class Journal:
    """Reads and writes one run's folder."""

    transport: Transport
    folder: str
    """URI."""

    @classmethod
    def of(cls, transport: Transport, location: str, run_id: str) -> Journal:
        """The journal of a run whose output lies at `location`."""
        return cls(transport, join(location, "_lakeflow/runs", check_run_id(run_id)))

    @property
    def shared_folder(self) -> str:
        """URI of the folder for shared tables."""
        return join(self.folder, "shared")

    def adopt(self, plan: RunPlan) -> RunPlan:
        """Write the plan, or read the one that is there already."""
        uri = join(self.folder, "plan.json")
        if self.transport.put_if_absent(uri, plan.to_json()):
            return plan
        return RunPlan.from_json(self.transport.get(uri), uri)

    def mark_done(self, marker: dict[str, Any]) -> dict[str, Any]:
        """Record a finished shard; returns the marker that counts, which is an earlier attempt's if that was faster."""
        uri = self._marker(marker["shard"])
        if self.transport.put_if_absent(uri, json.dumps(marker).encode()):
            return marker
        return self._read(uri)

    def done(self) -> dict[str, dict[str, Any]]:
        """The markers of all finished shards, by shard id."""
        found = [info.uri for info in self.transport.list(join(self.folder, "done")) if info.uri.endswith(".json")]
        with ThreadPoolExecutor(_READERS) as pool:
            markers = list(pool.map(self._read, found))
        return {marker["shard"]: marker for marker in markers}

    def mark_committed(self, record: dict[str, Any]) -> None:
        """Record the publication; the output itself stays the authority."""
        self.transport.put_if_absent(join(self.folder, "committed.json"), json.dumps(record).encode())

    def committed(self) -> dict[str, Any] | None:
        """The record of the publication, if there is one."""
        try:
            return self._read(join(self.folder, "committed.json"))
        except ObjectNotFoundError:
            return None

    def _marker(self, shard_id: str) -> str:
        return join(self.folder, "done", f"{shard_id}.json")

    def _read(self, uri: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(bytes(self.transport.get(uri)))
        except ValueError as error:
            raise CorruptFileError(f"{uri} is not JSON: {error}.", "delete it; its shard runs again.") from error
        return record
