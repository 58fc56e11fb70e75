"""The server of a URL, or the nodes of its cluster: which has which key, and connections to each that are kept.

A cluster hashes what stands between braces in a key to one of 16,384 slots (CRC16, XMODEM), and says which node
has which; a node that is asked for another's slot answers MOVED.
https://valkey.io/topics/cluster-spec/
"""

from __future__ import annotations

import binascii
import os
import time
from bisect import bisect_right
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeflow.cache.valkey.address import Address
from lakeflow.cache.valkey.connection import Connection, encoded
from lakeflow.cache.valkey.refusals import LATER, MOVED, Refusal, error_of
from lakeflow_io.errors import LakeflowError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["SLOTS", "Nodes", "slot_of"]

SLOTS = 16_384
_PATIENCE_SECONDS = 10.0
"""How long a server that isn't ready, or a cluster that changes, is asked again."""
_PAUSE_SECONDS = 0.02


def slot_of(key: bytes) -> int:
    """Return the slot of a key that has braces."""
    return binascii.crc_hqx(key[key.index(b"{") + 1 : key.index(b"}")], 0) % SLOTS


@dataclass(frozen=True, slots=True)
class _Map:
    """Who has which slots, at the last look."""

    firsts: tuple[int, ...]
    """The first slot of each range, ascending; one range where there is no cluster."""
    owners: tuple[Address, ...]
    cluster: bool

    def owner(self, slot: int) -> Address:
        return self.owners[max(bisect_right(self.firsts, slot) - 1, 0)]


class Nodes:
    """A server or a cluster; safe for threads and after a fork. Nothing is connected until it is asked."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: dict[Address, list[Connection]] = {}
        self._process = os.getpid()
        self._known: _Map | None = None
        self._seen: tuple[Address, ...] = ()
        """All nodes of the cluster at the last look, replicas, too: one of them tells what has become of the others."""

    @classmethod
    def at(cls, url: str) -> Nodes:
        """Check a URL.

        Raises:
            ConfigError: it can't be used.
        """
        return cls(Address.parse(url))

    @property
    def shown(self) -> str:
        """The address without credentials, for messages."""
        return self.address.shown

    @property
    def cluster(self) -> bool:
        """Whether rows have to be spread over slots."""
        return self._map().cluster

    @property
    def masters(self) -> list[Address]:
        """All nodes that have slots."""
        return sorted(set(self._map().owners), key=lambda owner: (owner.host, owner.port))

    def owner(self, key: bytes) -> Address:
        """Return the node that has a key."""
        known = self._map()
        return known.owner(slot_of(key) if known.cluster else 0)

    def look_again(self) -> None:
        """Forget who has what: a node said that it has moved."""
        self._known = None

    @contextmanager
    def conversation(
        self, owner: Address, *first: Sequence[bytes | str | int]
    ) -> Generator[tuple[Connection, list[Any]]]:
        """Lend a connection that has answered some commands, which may be run twice; it is kept unless the block fails.

        Raises:
            StoreError: the node can't be reached.
        """
        connection, answers = self._begun(owner, b"".join(map(encoded, first)), len(first))
        try:
            yield connection, answers
        except BaseException:
            connection.close()
            raise
        self._idle.setdefault(owner, []).append(connection)

    def one(self, key: bytes, *command: bytes | str | int) -> Any:
        """Run one command that may be run twice on the node that has `key`; wait where that isn't ready.

        Raises:
            LakeflowError: as `Connection.one`.
        """
        return self.patiently(lambda: self._ask(self.owner(key), command)[0])

    def patiently(self, act: Callable[[], Any]) -> Any:
        """Call `act` until its answer isn't one of a server that isn't ready or of a slot that has moved.

        Where a node of a cluster can't be reached, it is called once more, after a look at who has its slots now.

        Raises:
            LakeflowError: another refusal, or the time is up; or as `act`.
        """
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = act()
            except StoreError:
                if self._known is None or not self._known.cluster:
                    raise
                self.look_again()
                answer = act()
            if not isinstance(answer, Refusal):
                return answer
            if answer.code in MOVED:
                self.look_again()
            if answer.code not in LATER | MOVED or time.monotonic() > end:
                raise error_of(answer, self.shown)
            time.sleep(_PAUSE_SECONDS)

    def exchange(self, owner: Address, request: bytes, answers: int) -> list[Any]:
        """Send commands that may be run twice: a connection that was kept may have been closed meanwhile.

        Raises:
            StoreError: the node can't be reached.
        """
        connection, answered = self._begun(owner, request, answers)
        self._idle.setdefault(owner, []).append(connection)
        return answered

    def close(self) -> None:
        """Close what is kept."""
        for connections in self._idle.values():
            while connections:
                connections.pop().close()

    def _ask(self, owner: Address, *commands: tuple[bytes | str | int, ...]) -> list[Any]:
        return self.exchange(owner, b"".join(encoded(command) for command in commands), len(commands))

    def _begun(self, owner: Address, request: bytes, answers: int) -> tuple[Connection, list[Any]]:
        kept = self._kept(owner)
        if kept is not None:
            try:
                return kept, kept.exchange(request, answers)
            except StoreError:
                kept.close()  # the server may have closed it long ago
        connection = Connection(owner)
        try:
            return connection, connection.exchange(request, answers)
        except BaseException:
            connection.close()
            raise

    def _kept(self, owner: Address) -> Connection | None:
        if self._process != os.getpid():  # a fork shares sockets with its parent
            self._process, self._idle = os.getpid(), {}
        try:
            return self._idle[owner].pop()
        except (KeyError, IndexError):
            return None

    def _map(self) -> _Map:
        known = self._known
        if known is None:
            known = self._known = self.patiently(self._look)
        return known

    def _look(self) -> _Map | Refusal:
        info, slots = self._first_answer()
        if isinstance(info, Refusal) and info.code in LATER:
            return info
        alone = isinstance(info, Refusal) or b"cluster_enabled:1" not in info  # without the right to ask: it may be
        if alone:
            return _Map((0,), (self.address,), cluster=False)
        if isinstance(slots, Refusal) or not slots:
            return slots if isinstance(slots, Refusal) else Refusal.of(b"CLUSTERDOWN no node has slots")
        ranges = sorted(
            (first, self.address.at((host or b"").decode(), port)) for first, _, (host, port, *_), *_ in slots
        )
        firsts, owners = zip(*ranges, strict=True)
        self._seen = tuple(
            {self.address.at((host or b"").decode(), port) for entry in slots for host, port, *_ in entry[2:]}
        )
        return _Map(firsts, owners, cluster=True)

    def _first_answer(self) -> list[Any]:
        """Ask the node of the URL; where it is gone, others that were seen."""
        try:
            return self._ask(self.address, ("INFO", "cluster"), ("CLUSTER", "SLOTS"))
        except LakeflowError:
            for other in self._seen:
                with suppress(LakeflowError):
                    return self._ask(other, ("INFO", "cluster"), ("CLUSTER", "SLOTS"))
            raise
