"""The end of a run: what was sealed becomes visible, output after output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lakeflow.runs.outputs.packing import PACK_FROM_BYTES, PackTask, pack_all, ranges
from lakeflow.runs.outputs.sink import Publication, RunLabel
from lakeflow.runs.state.seal import abandoned
from lakeflow_io.errors import ObjectNotFoundError, PlanChangedError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lakeflow.runs.outputs.outputs import Outputs
    from lakeflow.runs.outputs.sink import Packer, Sink
    from lakeflow.runs.plan import RunPlan
    from lakeflow.runs.state.done import Done
    from lakeflow.runs.state.journal import Journal
    from lakeflow.runs.state.seal import Seal
    from lakeflow_engines.executors import Executor
    from lakeflow_io.iceberg.pack import PackedManifest

__all__ = ["Publisher"]


class Publisher:
    """Publishes a run's outputs, each once.

    Args:
        plan: The run's.
        journal: Its folder.
        outputs: What is published, in this order.
        executor: Where commit tasks run; opened when there are any.
        started: When the driver began, by `time.perf_counter`.
    """

    def __init__(
        self,
        plan: RunPlan,
        journal: Journal,
        outputs: Outputs,
        executor: Callable[[], Executor],
        started: float,
    ) -> None:
        self.plan, self.journal, self._outputs = plan, journal, outputs
        self._executor, self._started = executor, started
        self.publications: dict[str, Publication] = {}
        """By output: those that are known to be visible."""

    def all_published(self) -> bool:
        """Look, anew, whether all outputs are visible; record those that are.

        Raises:
            PlanChangedError: one was published with another plan.
        """
        for name in self._outputs.sinks:
            self._find(name)
        return self.publications.keys() == self._outputs.sinks.keys()

    def publish(self, seal: Seal, done: Done | None = None) -> None:
        """Publish what isn't visible yet, as the seal says.

        Args:
            seal: What was agreed on.
            done: Markers that are there, as far as they are known; default what a listing finds.

        Raises:
            RunError: a marker that the seal needs is gone.
            RunAbandonedError: the run was given up meanwhile.
            CommitConflictError: another writer's commit contradicts an output; the outputs before it are visible.
        """
        self._refuse_abandoned()
        try:
            self._publish(seal, done)
        except (ObjectNotFoundError, RunError):
            self._refuse_abandoned()  # who gave the run up removes what it needs
            raise

    def _publish(self, seal: Seal, done: Done | None) -> None:
        done, total = self._marked(seal, done)
        markers: list[dict[str, Any]] | None = None
        for name, sink in self._outputs.sinks.items():
            if self._find(name):
                continue
            packer = sink.packer() if total >= PACK_FROM_BYTES else None
            if packer is not None:
                packed, rows_in = self._packed(name, packer, seal, done)
                self._release(name, sink, seal, [], packed, rows_in)
                continue
            if markers is None:
                markers = list(self.journal.markers(seal.published(self.plan.work_ids)))
            staged = [file for marker in markers for file in marker["files"].get(name, ())]
            self._release(name, sink, seal, staged, [], sum(marker["rows_in"] for marker in markers))

    def _marked(self, seal: Seal, known: Done | None) -> tuple[Done, int]:
        """The markers that are published, and their bytes."""
        done = known if known is not None else self.journal.done(self.plan.shards)
        total = 0
        for work_id in seal.published(self.plan.work_ids):
            size = done.size(work_id)
            if not size and known is not None:
                return self._marked(seal, None)  # a twin's seal, of what it did otherwise
            if not size:
                raise RunError(
                    f"Run {self.plan.run_id!r} can't be published: {work_id} has no marker in {self.journal.folder}.",
                    "somebody has deleted it; run again with another run id.",
                )
            total += size
        return done, total

    def _packed(self, name: str, packer: Packer, seal: Seal, done: Done) -> tuple[list[PackedManifest], int]:
        first = self._outputs.first

        def tasks() -> Any:
            number = 0
            for work_ids in ranges(seal.published(self.plan.work_ids), done.size):
                yield PackTask(
                    run_id=self.plan.run_id,
                    output=name,
                    number=number,
                    work_ids=work_ids,
                    packer=packer,
                    folder=self.journal.folder,
                    store=first.store_properties,
                    conditional=self.journal.conditional,
                )
                number += len(work_ids)

        return pack_all(self._executor(), tasks())

    def _release(
        self,
        name: str,
        sink: Sink,
        seal: Seal,
        staged: list[dict[str, Any]],
        packed: list[PackedManifest],
        rows_in: int,
    ) -> None:
        plan = self.plan
        label = RunLabel(
            run_id=plan.run_id,
            plan_digest=plan.digest,
            source=",".join(plan.inputs) or None,
            shards=plan.shards,
            rows_in=rows_in,
            seconds=round(time.perf_counter() - self._started, 3),
            planned_on=plan.planned_on.get(name),
            quarantined=seal.quarantined,
            folder=self.journal.folder,
            output=name,
            function=plan.function,
            code=plan.code,
        )
        self._note(name, sink.publish(label, staged, packed, self._refuse_abandoned))

    def _refuse_abandoned(self) -> None:
        if self.journal.read("abandoned.json") is not None:
            raise abandoned(self.plan.run_id)

    def _find(self, name: str) -> bool:
        """Tell whether an output is visible; what the output says counts, its record outlives that."""
        if name in self.publications:
            return True
        before = self._outputs.sinks[name].find(self.plan.run_id)
        record = self.journal.committed(name) if before is None else None
        if record is not None:
            before = Publication.from_record(record)
        if before is None:
            return False
        if before.plan_digest != self.plan.digest:
            raise PlanChangedError(f"Run {self.plan.run_id!r} was published with another plan.", "use another run id.")
        # The driver that published may have died before it could record that.
        self._note(name, before)
        return True

    def _note(self, name: str, publication: Publication) -> None:
        self.journal.mark_committed(name, publication.record)
        self.publications[name] = publication
