"""`DynamoDBCache`: reads a cache that was pushed to a table.

A request asks for rows of the upload that the pointer named last, and for the pointer, in one BatchGetItem. DynamoDB
answers that for each item by itself, so it isn't a snapshot; it needn't be. A row that is found is one of that
upload: an upload's items belong to it alone and never change. A row that is missing is either none, or was removed
after the pointer had moved on. So where one is missing the pointer is read again, afterwards: an upload's rows are
there as long as the pointer names it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, overload

from lakeflow.cache.dynamodb.address import Address
from lakeflow.cache.dynamodb.names import Names, UploadId
from lakeflow.cache.dynamodb.table import Table
from lakeflow.cache.dynamodb.uploads import describe
from lakeflow.cache.pushed.codec import key_bytes
from lakeflow.cache.pushed.known import KnownVersion
from lakeflow.cache.pushed.reading import PushedReader
from lakeflow.cache.shelves import check_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from lakeflow.cache.dynamodb.table import Item, ItemKey
    from lakeflow.cache.keys.column import Key, KeyNames, ManyKeys
    from lakeflow.cache.reading.answer import AnswerKind
    from lakeflow.cache.reading.version import CacheVersion

__all__ = ["DynamoDBCache"]

_BATCH_ITEMS = 100  # DynamoDB's limit for BatchGetItem
_IN_FLIGHT = 8


class _DynamoDBStore:
    """A `PushedStore`."""

    def __init__(self, cache: str, url: str) -> None:
        address = Address.parse(url)
        self._max_age_seconds = address.max_age_seconds
        self._names = Names(cache)
        self._table = Table(address)
        self._seen: tuple[bytes, float] | None = None

    @property
    def shown(self) -> str:
        return self._table.shown

    def pointer(self) -> bytes | None:
        asked = time.monotonic()
        return self._noted(self._table.get(self._names.pointer), asked)

    def describe(self, pointer: bytes) -> KnownVersion | None:
        pushed = describe(self._table, self._names, self._upload(pointer))
        return None if pushed is None else KnownVersion.of(pointer, pushed)

    def read_one(self, known: KnownVersion, key: Key) -> tuple[bytes | None, bytes | None]:
        pointer, values = self._read(known, [key])
        return pointer, values[0] if values else None

    def read(self, known: KnownVersion, asked: pa.Array) -> tuple[bytes | None, list[bytes | None]]:
        return self._read(known, known.key.values(asked))

    def _read(self, known: KnownVersion, keys: list[Key]) -> tuple[bytes | None, list[bytes | None]]:
        """Read the rows with the pointer, unless it was read lately; and the pointer again where a row is missing."""
        upload = self._upload(known.pointer)
        rows = [self._names.row(upload, key_bytes(key)) for key in keys]
        wanted = list(dict.fromkeys(rows))
        asked = time.monotonic()
        fresh = self._is_fresh(known.pointer, asked)
        found = self._fetch(wanted if fresh else [self._names.pointer, *wanted])
        pointer = known.pointer if fresh else self._noted(found.get(self._names.pointer[1]), asked)
        if pointer == known.pointer and len(found) < len(wanted) + (not fresh):
            pointer = self.pointer()
        if pointer != known.pointer:
            return pointer, []
        items = [found.get(sort) for _, sort in rows]
        return pointer, [None if item is None else str(item.get("v")).encode() for item in items]

    def _fetch(self, keys: list[ItemKey]) -> dict[bytes, Item]:
        """Return the items that are there, by their sort key: a row's place follows from it."""
        starts = range(0, len(keys), _BATCH_ITEMS)
        batches = [keys[start : start + _BATCH_ITEMS] for start in starts]
        if len(batches) <= 1:
            answers = list(map(self._fetch_batch, batches))
        else:
            with ThreadPoolExecutor(min(len(batches), _IN_FLIGHT), "lakeflow-read") as pool:
                answers = list(pool.map(self._fetch_batch, batches))
        return {item["sk"]: item for answer in answers for item in answer if isinstance(item["sk"], bytes)}

    def _fetch_batch(self, keys: list[ItemKey]) -> list[Item]:
        return self._table.read(keys, "sk, v, current_upload")

    def _noted(self, item: Item | None, asked: float) -> bytes | None:
        """Return what the pointer's item says, and remember since when it has been known."""
        upload = (item or {}).get("current_upload")
        if upload is None:
            return None
        pointer = str(upload).encode()
        self._seen = pointer, asked
        return pointer

    def _is_fresh(self, pointer: bytes, now: float) -> bool:
        seen = self._seen
        return seen is not None and seen[0] == pointer and now - seen[1] < self._max_age_seconds

    def _upload(self, pointer: bytes) -> UploadId:
        return UploadId.parse(pointer.decode(), self.shown)


class DynamoDBCache:
    """A cache in a DynamoDB table, read as `Cache` is; safe for threads, and can be pickled.

    Args:
        name: As it was pushed.
        url: `dynamodb://TABLE[?region=..&endpoint=..&max_age=..]`. Credentials are boto3's: its environment
            variables, files and roles. `max_age` is for how many seconds a pointer that was read is gone on with,
            0 where it isn't given: then every request reads it, and sees a push that ended before.

    Raises:
        ConfigError: the URL can't be used, boto3 isn't installed, or no region is named.
        InputError: the name can't name a cache.
    """

    def __init__(self, name: str, url: str) -> None:
        self._name = check_name(name)
        self._url = url
        self._store = _DynamoDBStore(self._name, url)
        self._reader = PushedReader(self._name, self._store)

    @property
    def name(self) -> str:
        """The cache's name."""
        return self._name

    def get(self, key: Key, default: Any = None, *, columns: Sequence[str] | None = None) -> Any:
        """Return the row of one key as a dict, with the key column in it.

        One round trip; a second one where there is no such row, two more after a push.

        Args:
            key: An int, str or bytes, as the cache's key column is; a tuple where several columns are the key.
            default: What to return where there is no such row.
            columns: Which columns, in this order; all where None. DynamoDB sends all of them.

        Raises:
            SchemaError: the key is of another type, or out of the key column's range.
            UnsupportedError: a value, such as a date past the year 9999, has no Python form.
            NotFoundError: nothing was pushed, or there is no such table or column.
            StoreError: the table can't be reached, refuses, or has too little capacity.
        """
        return self._reader.get(key, default, columns)

    @overload
    def get_many(
        self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: Literal["arrow"] = "arrow"
    ) -> pa.Table: ...
    @overload
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = ...) -> Any: ...
    def get_many(self, keys: ManyKeys, *, columns: Sequence[str] | None = None, to: AnswerKind = "arrow") -> Any:
        """Return one row per key, in the order asked, duplicates included.

        A request for each 100 different keys and the pointer, eight at a time; one more where a key has no row; after
        a push as many again, and one.

        Args:
            keys: As `Cache.get_many` takes them.
            columns: Which columns, in this order; all where None. DynamoDB sends all of them.
            to: What to return, as in `Cache.get_many`.

        Returns:
            What `Cache.get_many` returns: the columns, and a last column `found` (bool); or a dict.

        Raises:
            SchemaError: a null, a key of another type, or out of the key column's range.
            NotFoundError: nothing was pushed, or there is no such table or column.
            InputError: `to` or `columns` can't be.
            ConfigError: the frame's package isn't installed.
            StoreError: the table can't be reached, refuses, or has too little capacity.
        """
        return self._reader.get_many(keys, columns, to)

    @property
    def version(self) -> CacheVersion:
        """The version that is current now.

        Raises:
            NotFoundError: nothing was pushed, or there is no such table.
            StoreError: the table can't be reached, or refuses.
        """
        return self._reader.current().summary

    @property
    def schema(self) -> pa.Schema:
        """The columns of the version that is current now.

        Raises:
            NotFoundError: nothing was pushed, or there is no such table.
            StoreError: the table can't be reached, or refuses.
        """
        return self._reader.current().schema

    @property
    def key(self) -> KeyNames:
        """The key column of the version that is current now; a tuple of several.

        Raises:
            NotFoundError: nothing was pushed, or there is no such table.
            StoreError: the table can't be reached, or refuses.
        """
        return self._reader.current().key

    def __repr__(self) -> str:
        return f"<DynamoDBCache {self.name!r} in {self._store.shown}>"

    def __reduce__(self) -> tuple[type[DynamoDBCache], tuple[str, str]]:
        """Leave connections behind: another process opens its own."""
        return type(self), (self.name, self._url)
