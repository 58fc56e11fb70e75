"""One push of a cache at a time: a key that expires, and changes that happen only while it is held.

Two pushes at once could ruin each other: the one that ends first removes old rows, and those may be of the
version that the other is about to make current. The lock alone doesn't prevent it, since a pusher that was
stopped for a minute goes on without knowing that its lock has passed to another. So what decides, the pointer and
what stands in `PUSHES`, changes in a transaction that the server refuses once the lock has another holder. Rows that
such a pusher still writes are of a push that nothing points to; and what is removed was marked before, so that
nobody points to it again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow.cache.pushed.ending import given_back
from lakeflow.cache.valkey.refusals import Refusal, error_of
from lakeflow_io.errors import CommitConflictError

if TYPE_CHECKING:
    from collections.abc import Generator

    from lakeflow.cache.valkey.names import Names
    from lakeflow.cache.valkey.nodes import Nodes

__all__ = ["PushLock", "locked"]

_LOCK_SECONDS = 60
"""How long a push that was killed keeps others out; one that lives renews it every second."""

_MILLISECONDS = _LOCK_SECONDS * 1000
_Command = tuple[bytes | str | int, ...]


@dataclass(frozen=True, slots=True)
class PushLock:
    """A lock that was taken."""

    nodes: Nodes
    names: Names
    token: bytes
    """Whose it is."""

    def guarding(self, *commands: _Command) -> list[Any]:
        """Run commands in a transaction that fails where the lock isn't ours, and renew it; return their answers.

        Raises:
            CommitConflictError: the lock is another's, or gone; the commands had no effect.
            StoreError: the server can't be reached, or refuses.
        """
        answers: list[Any] = self.nodes.patiently(lambda: self._attempt(commands))
        return answers

    def _attempt(self, commands: tuple[_Command, ...]) -> list[Any] | Refusal:
        """Run the transaction once; a refusal in its stead means that nothing of it was run."""
        key = self.names.lock
        try:
            watching = ("WATCH", key), ("GET", key)
            with self.nodes.conversation(self.nodes.owner(key), *watching) as (connection, watched):
                _, holder = _checked(watched)
                if holder != self.token:
                    raise self._lost(holder)
                transaction = [("MULTI",), *commands, ("PEXPIRE", key, _MILLISECONDS), ("EXEC",)]
                answers = _checked(connection.ask(*transaction))[-1]
                if answers is None:
                    raise self._lost(b"")
        except _RefusedError as error:
            return error.refusal
        for answer in answers:
            if isinstance(answer, Refusal):
                raise error_of(answer, self.nodes.shown)
        return answers[:-1]

    def _lost(self, holder: bytes | None) -> CommitConflictError:
        cache = self.names.cache
        if holder is None:
            message = f"The lock of this push of cache {cache!r} is gone from {self.nodes.shown}: it has restarted"
            message += f", or this push stood still for {_LOCK_SECONDS} seconds."
        else:
            message = f"This push of cache {cache!r} stood still, and another took over."
        return CommitConflictError(message, "push again.")


@contextmanager
def locked(nodes: Nodes, names: Names) -> Generator[PushLock]:
    """Hold the lock of a cache.

    Raises:
        CommitConflictError: another push holds it.
        StoreError: the server can't be reached, or refuses.
    """
    lock = PushLock(nodes, names, uuid4().hex.encode())
    key = names.lock
    if nodes.one(key, "SET", key, lock.token, "NX", "PX", _MILLISECONDS) is None:
        holder = nodes.one(key, "GET", key)
        if holder != lock.token:  # ours where it was set, the answer was lost, and it was asked again
            left = max(nodes.one(key, "PTTL", key), 0) // 1000 + 1
            message = f"Another push of cache {names.cache!r} to {nodes.shown} is under way."
            raise CommitConflictError(message, f"try again; if it was killed, in {left} seconds.")
    with given_back(partial(lock.guarding, ("DEL", key)), _LOCK_SECONDS):
        yield lock


class _RefusedError(Exception):
    """Ends the use of a connection on which a transaction may have begun."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def _checked(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Refusal):
            raise _RefusedError(answer)
    return answers
