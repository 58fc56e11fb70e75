"""A cache in a Valkey or Redis server, or in a cluster of them: pushed there, read from anywhere.

    push(Cache("scores"), "valkey://cache.internal:6379/0")
    ValkeyCache("scores", "valkey://cache.internal:6379/0").get(42)

What is in the server, for a cache `scores`:

    lakeflow:{scores}:CURRENT             the id of the push that is read
    lakeflow:{scores}:PUSHES              a hash: what each push holds, by its id, as JSON; see `ledger`
    lakeflow:{scores}:<push>:<bucket>     some rows, see `rows.packing`; the bucket as 8 hexadecimal digits
    lakeflow:{scores}:PUSH                held by whoever pushes, for seconds
    lakeflow:{scores}:<push>:DONE         how many buckets of a push that isn't complete were acknowledged

The braces are in the keys as they stand here: a cluster hashes only what is between them. Where there is no cluster,
all keys of one cache would lie in one slot. In a cluster, buckets are spread over 256 parts, each in a slot of its
own, so that a cache lies on all nodes. Their tags are in `PUSHES`:

    lakeflow:{scores/17}:<push>:<bucket>  as above
    lakeflow:{scores/17}:CURRENT          the part's pointer, so that one command reads it and rows; see `store`
"""

from __future__ import annotations

from lakeflow.cache.pushed.report import PushReport
from lakeflow.cache.valkey.pusher import push
from lakeflow.cache.valkey.reader import ValkeyCache

__all__ = ["PushReport", "ValkeyCache", "push"]
