"""`lakeflow:{name}:PUSHES`: each push of which the server may have rows, and `CURRENT`, the one that is read.

What stands here is written before the first row of a push and removed after its last one. So whatever is killed,
a later push knows which keys there can be: buckets are numbered, and their keys follow from the number.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lakeflow.cache.pushed.version import PushedVersion
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lakeflow.cache.valkey.names import Names

__all__ = ["REMOVING", "WHOLE", "WRITING", "Push", "refuse_format_1"]

_FORMAT = 2

WRITING, WHOLE, REMOVING = "writing", "whole", "removing"


@dataclass(frozen=True, slots=True)
class Push:
    """One push of a version."""

    id: str
    """Another for each push, also of the same version: what is removed of one never is of another."""
    state: str
    """`writing`, `whole` or `removing`."""
    buckets: int
    tags: tuple[int, ...]
    """Of the parts that buckets are spread over, in ranges; none where all keys have one slot."""
    servers: tuple[str, ...]
    """The run ids of the servers that its rows are written to: one that restarts gets another."""
    version: PushedVersion
    previous: str | None = None
    """The push that was current before, whose rows stay until the next one."""

    def in_state(self, state: str) -> Push:
        """Return it in another state."""
        return replace(self, state=state)

    def following(self, previous: str | None) -> Push:
        """Return it whole, as the successor of another push."""
        return replace(self, state=WHOLE, previous=previous)

    def part_of(self, bucket: int) -> int:
        """Return the part that a bucket lies in."""
        return bucket * max(len(self.tags), 1) // self.buckets

    def parts_of(self, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """As `part_of`, of many."""
        return buckets * max(len(self.tags), 1) // self.buckets

    def pointer(self, names: Names, part: int) -> bytes:
        """Return the key of the pointer that lies in one slot with a part's buckets."""
        return (names.part(self.tags[part]) if self.tags else names.root) + b"CURRENT"

    def prefix(self, names: Names, part: int) -> bytes:
        """Return how the keys of a part's buckets begin."""
        return (names.part(self.tags[part]) if self.tags else names.root) + self.id.encode() + b":"

    def to_json(self) -> bytes:
        """Return what `parse` reads."""
        content = {
            "format": _FORMAT,
            "state": self.state,
            "buckets": self.buckets,
            "tags": self.tags,
            "servers": self.servers,
            "previous": self.previous,
            "version": json.loads(self.version.to_json()),
        }
        return json.dumps(content).encode()

    @classmethod
    def parse(cls, push: str, value: bytes, where: str) -> Push:
        """Read a description.

        Raises:
            CorruptFileError: it isn't one.
            UnsupportedError: another version of lakeflow wrote it.
        """
        try:
            content: dict[str, Any] = json.loads(value)
            if content["format"] != _FORMAT:
                message = f"{where} has format {content['format']}; this version of lakeflow reads {_FORMAT}."
                raise UnsupportedError(message, "upgrade lakeflow.")
            version = PushedVersion.parse(json.dumps(content["version"]).encode(), where)
            buckets, tags, servers = content["buckets"], content["tags"], content["servers"]
            previous = content["previous"]
            return cls(push, content["state"], int(buckets), tuple(tags), tuple(servers), version, previous)
        except (ValueError, KeyError, TypeError) as error:
            message = f"{where} can't be decoded: {error}"
            raise CorruptFileError(message, "delete the cache's keys there and push it again.") from error


def refuse_format_1(pointer: bytes | None, names: Names) -> None:
    """Refuse what an earlier lakeflow pushed, with a key for each row.

    Raises:
        UnsupportedError: the pointer is one of its.
    """
    if pointer is not None and pointer.startswith(b"{"):
        pattern = names.root.decode() + "*"
        message = f"{names.pointer.decode()} is of an earlier version of lakeflow, which wrote each row alone."
        raise UnsupportedError(message, f"unlink the keys {pattern} there (valkey-cli --scan), then push again.")
