"""`open_cache`: a cache for reading, wherever it is."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from lakeflow.cache.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from lakeflow.cache.keys.column import Key, KeyNames, ManyKeys
    from lakeflow.cache.reading.answer import AnswerKind
    from lakeflow.cache.reading.version import CacheVersion

__all__ = ["CacheReader", "open_cache"]

_VALKEY = "lakeflow.cache.valkey:ValkeyCache"
_READERS = {
    "valkey": _VALKEY,
    "valkeys": _VALKEY,
    "valkey+unix": _VALKEY,
    "redis": _VALKEY,
    "rediss": _VALKEY,
    "redis+unix": _VALKEY,
    "unix": _VALKEY,
    "dynamodb": "lakeflow.cache.dynamodb:DynamoDBCache",
}
"""By a URL's scheme; imported when it is first opened."""


class CacheReader(Protocol):
    """A cache as who looks keys up sees it: `Cache`, and what reads a cache that was pushed elsewhere."""

    @property
    def name(self) -> str:
        """The cache's name."""
        ...

    @property
    def version(self) -> CacheVersion:
        """The version that is read now."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """The columns of the version that is read now."""
        ...

    @property
    def key(self) -> KeyNames:
        """Its key column; a tuple of several."""
        ...

    def get(self, key: Key, default: Any = None, *, columns: Sequence[str] | None = None) -> Any:
        """Return the row of one key as a dict, as `Cache.get` does."""
        ...

    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = "arrow") -> Any:
        """Return one row per key, in the order asked, as `Cache.get_many` does."""
        ...


def open_cache(
    name: str, url: str | os.PathLike[str] | None = None, *, storage: Mapping[str, str] | None = None
) -> CacheReader:
    """Open a cache for reading.

    Args:
        name: The cache's.
        url: A folder or a URI of caches, as `Cache` takes it; or where it was pushed to: `valkey://host:port`, and the
            other URLs that `lakeflow.cache.valkey.push` takes, or `dynamodb://table`, as `DynamoDBCache` takes it.
        storage: Storage properties, as `Cache` takes them.

    Returns:
        A `Cache`, or what reads as one does.

    Raises:
        ConfigError: the URL can't be used.
        InputError: the name can't name a cache.

    Example:
        >>> import pyarrow as pa, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> version = Cache("scores", folder).load(pa.table({"id": [7], "score": [0.1]}), key="id")
        >>> open_cache("scores", folder).get(7)
        {'id': 7, 'score': 0.1}
    """
    text = "" if url is None else os.fspath(url)
    home = _READERS.get(urlsplit(text).scheme) if "://" in text else None
    if home is None:
        return Cache(name, url, storage=storage)
    module, _, reader = home.partition(":")
    opened: CacheReader = getattr(import_module(module), reader)(name, text)
    return opened
