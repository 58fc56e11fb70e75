"""One push of a cache at a time: a key that expires, and changes that happen only while it is held.

Two pushes at once could ruin each other: the one that ends first removes old rows, and those may be of the
version that the other is about to make current. The lock alone doesn't prevent it, since a pusher that was
stopped for a minute goes on without knowing that its lock has passed to another. So what can do harm, the
pointer's change and every removal, runs in a transaction that the server refuses once the lock has another
holder. Rows that such a pusher still writes are of a version that nothing points to.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakeflow_io.errors import CommitConflictError, LakeflowError

if TYPE_CHECKING:
    from collections.abc import Generator

    from lakeflow.cache.valkey.names import Names
    from lakeflow.cache.valkey.server import Server

__all__ = ["PushLock", "locked"]

LOCK_SECONDS = 60
"""How long a push that was killed keeps others out; one that lives renews it with every chunk."""


@dataclass(frozen=True, slots=True)
class PushLock:
    """A lock that was taken."""

    server: Server
    names: Names
    token: bytes
    """Whose it is."""

    def renewing(self, *command: Any) -> Any:
        """Run one command in a round trip that also renews the lock; return the command's answer.

        Raises:
            CommitConflictError: the lock expired.
            StoreError: as `Server.talking` says.
        """
        with self.server.talking():
            pipe = self.server.client.pipeline(transaction=False)
            pipe.execute_command(*command)
            answer, renewed = pipe.pexpire(self.names.lock, LOCK_SECONDS * 1000).execute()
        if not renewed:
            raise self._lost()
        return answer

    def guarding(self, *command: Any) -> Any:
        """Run one command in a transaction that fails where the lock isn't ours; return the command's answer.

        Raises:
            CommitConflictError: the lock is another's; the command had no effect.
            StoreError: as `Server.talking` says.
        """
        from valkey.exceptions import WatchError

        with self.server.talking(), self.server.client.pipeline() as pipe:
            pipe.watch(self.names.lock)
            if pipe.get(self.names.lock) != self.token:
                raise self._lost()
            pipe.multi()
            pipe.execute_command(*command)
            try:
                answers: list[Any] = pipe.pexpire(self.names.lock, LOCK_SECONDS * 1000).execute()
            except WatchError:
                raise self._lost() from None
            return answers[0]

    def _lost(self) -> CommitConflictError:
        message = f"This push of cache {self.names.cache!r} stood still, and another took over."
        return CommitConflictError(message, "push again.")


@contextmanager
def locked(server: Server, names: Names) -> Generator[PushLock]:
    """Hold the lock of a cache.

    Raises:
        CommitConflictError: another push holds it.
        StoreError: as `Server.talking` says.
    """
    lock = PushLock(server, names, uuid4().hex.encode())
    with server.talking():
        taken = server.client.set(names.lock, lock.token, nx=True, px=LOCK_SECONDS * 1000)
        left = 0 if taken else server.client.pttl(names.lock)
    if not taken:
        message = f"Another push of cache {names.cache!r} to {server.shown} is under way."
        raise CommitConflictError(message, f"try again; if it was killed, in {max(left, 0) // 1000 + 1} seconds.")
    try:
        yield lock
    except BaseException as error:
        _release(lock, error)
        raise
    lock.guarding("DEL", names.lock)


def _release(lock: PushLock, error: BaseException) -> None:
    """Let others push after a failure; where the server is out of reach, the lock expires by itself."""
    try:
        lock.guarding("DEL", lock.names.lock)
    except LakeflowError as also:
        error.add_note(f"The lock of the push stays for up to {LOCK_SECONDS} seconds: {also.message}")
