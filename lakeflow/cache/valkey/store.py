"""What a reader asks a server or a cluster: one command for each slot, which answers with the pointer and the buckets.

A command is run at one moment. So where the pointer in its answer names the push that was asked for, the buckets are
those of that push, and one that isn't there has no rows: a push's rows are removed only after the pointers have
left it. In a cluster each part has a pointer of its own, set shortly before the one that decides. Where it names
another push, the latter is asked: if it still names the one that was asked for, that one's rows were all there.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeflow.cache.keys.hashing import hash_key, hash_keys
from lakeflow.cache.rows.packing import bucket_of, buckets_of
from lakeflow.cache.valkey.connection import encoded
from lakeflow.cache.valkey.known import Found, KnownPush
from lakeflow.cache.valkey.ledger import Push, refuse_format_1
from lakeflow.cache.valkey.names import Names, bucket_names
from lakeflow.cache.valkey.nodes import Nodes
from lakeflow.cache.valkey.refusals import Refusal
from lakeflow_io.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import Key
    from lakeflow.cache.valkey.address import Address

__all__ = ["ValkeyStore"]

_MGET_BUCKETS = 4_000  # one MGET of them holds the server's only thread for some milliseconds
_MGET_BYTES = 4 << 20  # about as much is in an answer at most, unless one bucket is larger


class ValkeyStore:
    """A `PushedStore`.

    Raises:
        ConfigError: the URL can't be used.
    """

    def __init__(self, name: str, url: str) -> None:
        self._names = Names(name)
        self._nodes = Nodes.at(url)

    @property
    def shown(self) -> str:
        """The address without credentials, for messages."""
        return self._nodes.shown

    def pointer(self) -> bytes | None:
        """Return the id of the current push; None where nothing was pushed."""
        return self._nodes.one(self._names.pointer, "GET", self._names.pointer)

    def describe(self, pointer: bytes) -> KnownPush | None:
        """Return the push that a pointer names; None where it has been removed since."""
        refuse_format_1(pointer, self._names)
        pushes = self._names.pushes
        value = self._nodes.one(pushes, "HGET", pushes, pointer)
        return None if value is None else KnownPush.of(Push.parse(pointer.decode(), value, pushes.decode()))

    def read_one(self, known: KnownPush, key: Key) -> tuple[bytes | None, bytes | None]:
        """Return the pointer and the bucket in which a key is, if it is anywhere."""
        push = known.push
        bucket = bucket_of(hash_key(key), push.buckets)
        part = push.part_of(bucket)
        pointer_name = push.pointer(self._names, part)
        name = b"%b%08x" % (push.prefix(self._names, part), bucket)
        pointer, value = self._nodes.one(pointer_name, "MGET", pointer_name, name)
        return self._decided(known, pointer), value

    def read(self, known: KnownPush, asked: pa.Array) -> tuple[bytes | None, Found]:
        """Return the pointer and the buckets in which many keys are; too few where the pointer has moved."""
        hashes = hash_keys(asked)
        numbers, where = np.unique(buckets_of(hashes, known.push.buckets), return_inverse=True)
        found = Found(hashes, [], where)
        size = max(known.pushed.summary.bytes, 1)
        at_once = max(1, min(_MGET_BUCKETS, _MGET_BYTES * known.push.buckets // size))
        for start in range(0, len(numbers), at_once):
            block = numbers[start : start + at_once]
            for pointer, *buckets in self._nodes.patiently(partial(self._ask, known.push, block)):
                decided = self._decided(known, pointer)
                if decided != known.pointer:
                    return decided, found
                found.buckets.extend(buckets)
        return known.pointer, found

    def _decided(self, known: KnownPush, pointer: bytes | None) -> bytes | None:
        if pointer == known.pointer or not known.push.tags:
            return pointer
        decided = self.pointer()
        if pointer is None and decided == known.pointer:
            message = f"A node of {self.shown} has lost its rows of cache {self._names.cache!r}."
            raise StoreError(message, "push another version, or the same one after UNLINK of its pointer.")
        return decided

    def _ask(self, push: Push, numbers: NDArray[np.int64]) -> list[Any] | Refusal:
        """Ask for buckets, by one command for each part, in order."""
        parts = push.parts_of(numbers)
        edges = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(parts)]
        requests: dict[Address, list[tuple[int, bytes]]] = {}
        for place, (start, end) in enumerate(pairwise(edges)):
            part = int(parts[start])
            pointer = push.pointer(self._names, part)
            request = _mget(pointer, bucket_names(push.prefix(self._names, part), numbers[start:end]))
            requests.setdefault(self._nodes.owner(pointer), []).append((place, request))
        answers: list[Any] = [None] * (len(edges) - 1)
        for owner, ours in requests.items():
            answered = self._nodes.exchange(owner, b"".join(request for _, request in ours), len(ours))
            for (place, _), answer in zip(ours, answered, strict=True):
                if isinstance(answer, Refusal):
                    return answer
                answers[place] = answer
        return answers


def _mget(pointer: bytes, names: NDArray[np.uint8]) -> bytes:
    count, width = names.shape
    head = b"$%d\r\n" % width
    framed = np.empty((count, len(head) + width + 2), np.uint8)
    framed[:, : len(head)] = np.frombuffer(head, np.uint8)
    framed[:, len(head) : -2] = names
    framed[:, -2:] = np.frombuffer(b"\r\n", np.uint8)
    first = encoded(("MGET", pointer)).partition(b"\r\n")[2]
    return b"*%d\r\n%b%b" % (count + 2, first, framed.tobytes())
