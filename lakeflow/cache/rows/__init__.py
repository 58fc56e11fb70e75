"""Rows as bytes, in buckets by the hash of their key: what a server gets, and what lies beside a shard's columns.

`fields` and `lists` say how a row lies in bytes, `packing` and `unpacking` how rows lie in a bucket, `search` and
`lookup` find rows in buckets. The other modules are about the third file of a shard, which a cache of `layout="rows"`
has: `file` writes it, `mapped` reads buckets of it, `version` looks keys up in all shards.
"""

from __future__ import annotations
