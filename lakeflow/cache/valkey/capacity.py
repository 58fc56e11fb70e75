"""Whether a server can take a push: whether it keeps what it is given, and has the memory; before a row is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow.cache.valkey.connection import encoded
from lakeflow.cache.valkey.refusals import Refusal
from lakeflow_io.errors import ConfigError, StoreFullError

if TYPE_CHECKING:
    from lakeflow.cache.valkey.address import Address
    from lakeflow.cache.valkey.ledger import Push
    from lakeflow.cache.valkey.names import Names
    from lakeflow.cache.valkey.nodes import Nodes
    from lakeflow.cache.valkey.source import Source

__all__ = ["check_capacity", "server_facts"]

# Measured with Valkey 8.1: a key's object, its allocation's rounding and its share of the table, some 90 bytes a key;
# and what a table that grows holds for a while, old and new at once.
_KEY_BYTES = 112
_SAMPLES = 16
_SAMPLE_BUCKETS = 64


def server_facts(nodes: Nodes, owner: Address, section: str) -> dict[str, str]:
    """Return a section of a server's INFO; nothing where the user has no right to ask."""
    answer = nodes.patiently(lambda: _unless_denied(nodes.exchange(owner, encoded(("INFO", section)), 1)[0]))
    lines = (line.partition(":") for line in answer.decode(errors="replace").splitlines())
    return {name: value for name, _, value in lines if value}


def check_capacity(nodes: Nodes, names: Names, source: Source, push: Push, done: int) -> None:
    """Refuse a server that would evict rows, or has too little memory for them.

    An evicted bucket would look like keys without rows. Where a server has no limit (`maxmemory` 0), or doesn't
    tell, it is taken to have enough.

    Args:
        nodes: Where to.
        names: Of the cache.
        source: What is pushed.
        push: The push that will be written.
        done: Its first bucket that hasn't been written.

    Raises:
        ConfigError: the eviction policy.
        StoreFullError: the memory; it names the server, what it has and what it would need.
    """
    needed = _memory_needed(source, len(push.prefix(names, 0))) * (push.buckets - done) // push.buckets
    shares = _shares(nodes, names, push)
    for owner, share in shares.items():
        facts = server_facts(nodes, owner, "memory")
        limit = int(facts.get("maxmemory", 0))
        if not limit:
            continue
        policy = facts.get("maxmemory_policy", "")
        if policy.startswith("allkeys"):
            message = f"{owner.shown} evicts any key when its memory is full (maxmemory-policy {policy})."
            raise ConfigError(message, "set it to noeviction or to one of volatile-*: rows have no expiry.")
        used = int(facts.get("used_memory", 0)) - int(facts.get("mem_not_counted_for_evict", 0))
        free, wanted = max(limit - used, 0), int(needed * share)
        if wanted > free:
            message = f"{owner.shown} has {free:,} bytes of memory left, and this version needs about {wanted:,}."
            raise StoreFullError(message, "raise its maxmemory, or remove other data; nothing was written.")


def _memory_needed(source: Source, prefix_bytes: int) -> int:
    """Return about how many bytes of a server's memory a version takes, from some of its buckets.

    Args:
        source: The version.
        prefix_bytes: The length of what a bucket's key begins with.
    """
    seen, size = 0, 0
    for sample in range(min(_SAMPLES, source.buckets)):
        first = source.buckets * sample // _SAMPLES
        end = min(first + _SAMPLE_BUCKETS, source.buckets)
        seen += end - first
        packed = source.packed(first, end)
        if packed is not None:
            size += packed.values.nbytes + len(packed.values) * (prefix_bytes + _KEY_BYTES)
    return size * source.buckets // max(seen, 1)


def _shares(nodes: Nodes, names: Names, push: Push) -> dict[Address, float]:
    """Return which part of a push each node gets."""
    parts = max(len(push.tags), 1)
    shares: dict[Address, float] = {}
    for part in range(parts):
        owner = nodes.owner(push.prefix(names, part))
        shares[owner] = shares.get(owner, 0.0) + 1 / parts
    return shares


def _unless_denied(answer: bytes | Refusal) -> bytes | Refusal:
    denied = isinstance(answer, Refusal) and (answer.code == "NOPERM" or answer.text.startswith("ERR unknown"))
    return b"" if denied else answer
