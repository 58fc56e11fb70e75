"""How the items of a cache are named, and what a row's item takes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from lakeflow_io.errors import CorruptFileError

if TYPE_CHECKING:
    from lakeflow.cache.dynamodb.table import ItemKey

__all__ = ["ROW", "UPLOAD", "Names", "UploadId"]

UPLOAD = b"upload/"
"""How the sort key of an upload's record begins, in the cache's partition."""

ROW = b":"
"""How the sort key of every row begins: DynamoDB has no empty keys, and caches have."""

_BUCKET_ROWS = 1_000  # so few that a small cache spreads, too: a partition takes 1,000 writes a second
_MOST_BUCKETS = 256  # each is asked for separately when its rows are removed


@dataclass(frozen=True, slots=True)
class UploadId:
    """One copy of a version in a table. No other copy, of the same version included, has its items."""

    version: str
    buckets: int
    """Over how many partitions its rows are spread."""
    unique: str

    @classmethod
    def new(cls, version: str, rows: int) -> UploadId:
        """Name a copy that isn't there yet."""
        return cls(version, min(max(1, rows // _BUCKET_ROWS), _MOST_BUCKETS), uuid4().hex[:12])

    @classmethod
    def parse(cls, text: str, where: str) -> UploadId:
        """Read what `str` gave.

        Raises:
            CorruptFileError: it isn't one.
        """
        version, _, rest = text.partition(".")
        buckets, _, unique = rest.partition(".")
        if not (version and buckets.isdecimal() and 0 < int(buckets) <= _MOST_BUCKETS and unique):
            message = f"{where} names an upload {text[:60]!r}, and that is none of lakeflow's."
            raise CorruptFileError(message, "delete the item with sk = CURRENT, and push the cache again.")
        return cls(version, int(buckets), unique)

    def __str__(self) -> str:
        return f"{self.version}.{self.buckets}.{self.unique}"


@dataclass(frozen=True, slots=True)
class Names:
    """The items of one cache."""

    cache: str

    @property
    def pointer(self) -> ItemKey:
        """The item that says which upload is read; whoever pushes holds a lease in it."""
        return self.cache, b"CURRENT"

    def upload(self, upload: UploadId) -> ItemKey:
        """The item that describes an upload; it is there as long as a row of it may be."""
        return self.cache, UPLOAD + str(upload).encode()

    def partitions(self, upload: UploadId) -> list[str]:
        """Return the partition keys of all rows of an upload."""
        return [self._partition(upload, bucket) for bucket in range(upload.buckets)]

    def row(self, upload: UploadId, key: bytes) -> ItemKey:
        """Return the item of a row, by its key as `key_bytes` gives it."""
        return self._partition(upload, zlib.crc32(key) % upload.buckets), ROW + key

    def _partition(self, upload: UploadId, bucket: int) -> str:
        return f"{self.cache}/{upload}/{bucket}"
