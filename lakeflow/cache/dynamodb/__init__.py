"""A cache in a DynamoDB table: pushed there, read from anywhere.

    push(Cache("scores"), "dynamodb://caches?region=eu-central-1", create=True)
    DynamoDBCache("scores", "dynamodb://caches?region=eu-central-1").get(42)

What is in the table, for a cache `scores`; `pk` is a string, `sk` binary:

    pk                         sk
    scores                     CURRENT             which upload is read, and the one before; the lease of whoever pushes
    scores                     upload/<upload>     what is uploaded: its schema and facts, as JSON; how far it is
    scores/<upload>/<bucket>   :<key>              one row: `v`, its values as JSON, see `pushed.codec`

An upload, `<version>.<buckets>.<random>`, is one copy of a version. Why the items are so:

- Rows of many caches and versions lie in one table, so what is to be removed has to be found: a query for each
  bucket gives the rows of one upload and reads nobody else's. With the whole key in `pk`, only a scan of the table
  would. Sort keys hold 1,024 bytes, which is the price; partition keys hold 2,048.
- The bucket of a key is its CRC-32 modulo the number of buckets, up to 256. Rows are written in the order of their
  hash, and neighbours go to other buckets, so that all partitions of the table write at once.
- A row is one attribute and no map of DynamoDB's own types: a number there has 38 digits and a range up to 1e125,
  neither NaN nor -0.0, and so doesn't hold every float. `pushed.codec` is exact, and shorter.
"""

from __future__ import annotations

from lakeflow.cache.dynamodb.create import create_table
from lakeflow.cache.dynamodb.pusher import push
from lakeflow.cache.dynamodb.reader import DynamoDBCache
from lakeflow.cache.pushed.report import PushReport

__all__ = ["DynamoDBCache", "PushReport", "create_table", "push"]
