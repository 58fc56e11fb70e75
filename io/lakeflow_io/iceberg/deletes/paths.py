"""Paths of data files as deletes name them: compared as what they name, not as they are spelled.

A table that one engine wrote as `s3://` and another as `s3a://` has both in its delete files, and some
writers double a slash where a location ends in one.
"""

from __future__ import annotations

import re
from itertools import takewhile

from lakeflow_io.errors import LakeflowError
from lakeflow_io.storage.location import Location

__all__ = ["between", "same_object"]

_SLASHES = re.compile("/{2,}")


def same_object(path: str) -> str:
    """A spelling that all spellings of one object's path share; of a store that isn't known, slashes aside, its own."""
    try:
        where = Location.parse(path)
    except LakeflowError:
        scheme, colon, rest = path.partition("://")
        return f"{scheme}{colon}{_collapsed(rest)}"
    # Hadoop's older connector to Azure names the same account by another of its endpoints.
    host = where.host.replace(".blob.", ".dfs.", 1)
    query = f"?{where.query}" if where.query else ""
    return f"{where.scheme}://{where.bucket}@{host}/{_collapsed(where.key).lstrip('/')}{query}"


def _collapsed(key: str) -> str:
    return _SLASHES.sub("/", key) if "//" in key else key


def between(path: str, low: bytes, high: bytes) -> bool:
    """Whether a file of deletes whose paths lie between two bounds can name an object.

    Paths are ordered as they are spelled, and the object may be spelled in another way. What holds for
    every spelling is what all paths between the bounds begin with, and the character behind that.

    Args:
        path: The object's, from `same_object`.
        low: At most as large as any path in the file.
        high: At least as large.
    """
    try:
        first, last = low.decode(), high.decode()
    except UnicodeDecodeError:
        return True
    common = first[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))]
    if (not common.startswith("/") and common.count("/") < 3) or "%" in common:  # noqa: PLR2004  (scheme://bucket/)
        return True
    begins = same_object(common)
    if not path.startswith(begins):
        return False
    rest, least, most = path[len(begins) :], first[len(common) :], last[len(common) :]
    if not rest or not least or not most or common.endswith("/"):
        return True
    return least[0] <= rest[0] <= most[0]
