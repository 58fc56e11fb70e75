"""A cache in a Valkey or Redis server: pushed from a local cache, read from anywhere.

    push(Cache("scores"), "valkey://cache.internal:6379/0")
    ValkeyCache("scores", "valkey://cache.internal:6379/0").get(42)

What is in the server, for a cache `scores`:

    lakeflow:{scores}:CURRENT             which version is read, its schema and facts, as JSON
    lakeflow:{scores}:<version>:<key>     one row: its values as JSON, see `pushed.codec`
    lakeflow:{scores}:PUSH                held by whoever pushes, for seconds

The braces are in the keys as they stand here. A cluster hashes only what is between them, so all keys
of one cache lie in one slot: a request can read the pointer and its rows in one transaction, and SCAN
on that node meets all of them. The price: one cache doesn't spread over nodes; many caches do.
"""

from __future__ import annotations

from lakeflow.cache.pushed.report import PushReport
from lakeflow.cache.valkey.pusher import push
from lakeflow.cache.valkey.reader import ValkeyCache

__all__ = ["PushReport", "ValkeyCache", "push"]
