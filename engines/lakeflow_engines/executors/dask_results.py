"""The results of Dask tasks, fetched together: a request for each costs more than a short task itself.

All of this runs on the client's event loop. A task whose result can't be had in a batch, because it
failed or was lost, is asked about by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lakeflow_engines.executors.dask_outcome import outcome
from lakeflow_engines.executors.seam import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

__all__ = ["DaskResults"]

_BATCH = 64
"""Results in one message: values may have 64 MiB each, and most have some hundred bytes."""
# Where many tasks are under way they end every few milliseconds, which is what fetching a result takes: those that end
# in the next moment come along. A few tasks are told at once.
_MANY, _MOMENT_SECONDS = 128, 0.05


class DaskResults:
    """Brings outcomes as tasks end.

    Args:
        client: Of the cluster.
        ended: Gets them, some at a time; called on the event loop.
    """

    def __init__(self, client: Any, ended: Callable[[list[Completion]], None]) -> None:
        self._client, self._ended = client, ended
        self._ready: list[tuple[str, Any]] = []
        self._gathering = False
        self._under_way: set[asyncio.Task[None]] = set()

    def expect(self, futures: Sequence[tuple[str, Any]]) -> None:
        """Wait for these; callable from any thread.

        Args:
            futures: Our key and Dask's future of each task.
        """
        self._client.loop.add_callback(self._watch, futures)

    def _watch(self, futures: Sequence[tuple[str, Any]]) -> None:
        for key, future in futures:
            self._start(self._wait(key, future))

    async def _wait(self, key: str, future: Any) -> None:
        # What `Future.add_done_callback` waits for; that calls back on a thread of its own, once for each.
        while future.status == "pending":
            await future._state.wait()  # noqa: SLF001
        if future.status != "finished":
            await self._ask(key, future)
            return
        self._ready.append((key, future))
        if not self._gathering:
            self._gathering = True
            self._start(self._gather())

    async def _gather(self) -> None:
        """Fetch what is ready, and what became so meanwhile."""
        while self._ready:
            if len(self._ready) < _BATCH and len(self._under_way) > _MANY:
                await asyncio.sleep(_MOMENT_SECONDS)
            batch, self._ready = self._ready[:_BATCH], self._ready[_BATCH:]
            values = await self._values([future.key for _, future in batch])
            if values is not None:
                self._ended([Completion(key, value=values[future.key]) for key, future in batch])
                continue
            for key, future in batch:  # a lost one is run again: the others don't wait for that
                self._start(self._ask(key, future))
        self._gathering = False

    async def _values(self, keys: list[str]) -> dict[str, Any] | None:
        """By Dask's key; None where one of them can't be had, or the scheduler."""
        try:
            answer = await self._client.scheduler.gather(keys=keys)
        except Exception:  # noqa: BLE001  (each is asked for again, and then tells why)
            return None
        return answer["data"] if answer["status"] == "OK" else None

    async def _ask(self, key: str, future: Any) -> None:
        try:
            self._ended([await outcome(self._client, key, future)])
        except Exception as error:  # noqa: BLE001  (nobody would hear of it here)
            self._ended([Completion(key, error=error)])

    def _start(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(what)
        self._under_way.add(task)  # a loop doesn't hold what it runs
        task.add_done_callback(self._under_way.discard)
