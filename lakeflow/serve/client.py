"""`Client`: look-ups in a server's caches, with the types that the caches have.

Keys and rows travel as Arrow. urllib3 keeps the connections and repeats what failed on the way: every
request only reads, so each can be sent twice.
"""

from __future__ import annotations

import json
import os
from collections import deque
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa

from lakeflow.cache.files.columns import FOUND
from lakeflow.cache.keys.column import key_names
from lakeflow.serve.asked_keys import key_array, keys_by_name
from lakeflow.serve.batch import VERSION
from lakeflow.serve.bearer import authorization
from lakeflow.serve.limits import BATCH_KEYS, BODY_BYTES
from lakeflow.serve.media import Form
from lakeflow_io.errors import (
    AccessDeniedError,
    ConfigError,
    InputError,
    LakeflowError,
    NotFoundError,
    SchemaError,
    StoreError,
    ThrottledError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import urllib3

    from lakeflow.cache.keys.column import Key, KeyNames, ManyKeys

__all__ = ["Client"]

_T = TypeVar("_T")

_BACKOFF_SECONDS = 0.2
"""Before the second repetition, doubled with each; the first goes out at once, as a kept connection may have ended."""
_LONGEST_BACKOFF_SECONDS = 10
"""Also where a server asks for more by `Retry-After`."""
_CONNECTIONS = 10
"""That are kept for later; threads beyond it open more."""
_READINGS = 3
"""Of one call, where a version is published between its batches."""
_ERRORS: dict[int, type[LakeflowError]] = {
    400: InputError,
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: NotFoundError,
    413: InputError,
    429: ThrottledError,
    501: UnsupportedError,
}
_TOO_LARGE = 413
_OK = 200


class Client:
    """Reads the caches of `lakeflow serve`.

    It may be used by many threads at once, and be pickled; its connections stay open until `close`, or
    the end of a `with` block.

    Args:
        url: Where the server, or what the application is mounted in, is: `http://127.0.0.1:8080`.
        token: The server's token.
        timeout: Seconds for a connection to open, and for the next bytes of an answer to come.
        retries: How often a request is repeated after a connection that fails, a 503 or a 429.

    Raises:
        ConfigError: the address isn't one of HTTP, or has more in it than a path; or the token can't be one.

    Example:
        >>> client = Client("http://127.0.0.1:8080", token="c2VjcmV0IGFuZCBsb25n")
        >>> client
        <Client of http://127.0.0.1:8080>
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 30.0, retries: int = 5) -> None:
        self._url = _checked(url)
        self._authorization = None if token is None else authorization(token)
        self._timeout = timeout
        self._retries = retries
        self._pool: tuple[int, urllib3.PoolManager] | None = None
        self._names: dict[str, KeyNames] = {}
        """Of the key's columns, of caches that were asked for keys which need them."""

    def get(
        self, cache: str, key: Key, default: _T | None = None, *, columns: Sequence[str] | None = None
    ) -> dict[str, Any] | _T | None:
        """Return the row of one key as a dict, as `Cache.get` does.

        Args:
            cache: A cache's name.
            key: An int, str or bytes, as the cache's key column is; a tuple of them where several columns are the key.
            default: What to return where there is no such row.
            columns: Which columns, in this order; all where None.

        Raises:
            LakeflowError: as `get_many`, and UnsupportedError for a value without a Python form.
        """
        table = self.get_many(cache, [key], columns=columns)
        try:
            row: dict[str, Any] = table.to_pylist()[0]
        except (ValueError, OverflowError) as error:
            message = f"The row of key {key!r} has a value without a Python form: {error}"
            raise UnsupportedError(message, "read it as Arrow, with get_many().") from error
        return row if row.pop(FOUND) else default

    def get_many(self, cache: str, keys: ManyKeys, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Return one row per key, in the order asked, duplicates included, all of one version.

        Many keys go in several requests, by number and size. Where a version is published between two
        of them, all are sent again.

        Args:
            cache: A cache's name.
            keys: ints, strs or bytes; or an Arrow array, a numpy integer array, or a data frame's column. Where
                several columns are the key: tuples, or a table, a frame or an array of structs that has them by name.
                Their names are asked for once, in a request of its own.
            columns: Which columns, in this order; all where None. `found` comes last in any case.

        Returns:
            The columns as they were loaded, the key column holding the keys asked for, and a last
            column `found` (bool). The other columns are null where `found` is false. The schema's
            metadata has the version's id as `lakeflow.version`.

        Raises:
            NotFoundError: there is no such cache.
            SchemaError: a null, or keys that don't fit the key column.
            InputError: the server can't take the name, a key or a column, or one row is larger than an answer may be.
            AccessDeniedError: the token is missing or another.
            ThrottledError, StoreError: the server can't be reached, or can't answer now.
            UnsupportedError: the cache is of another version of lakeflow than the server.
        """
        given, url = key_array(keys), f"{self._url_of(cache)}:batchGet{_query(columns)}"
        if not (isinstance(given, list) or pa.types.is_struct(given.type)):
            return self._rows(url, pa.record_batch([given], names=["key"]))
        known = self._names.get(cache)
        names = self._key_names(cache) if known is None else known
        try:
            return self._rows(url, keys_by_name(given, names))
        except SchemaError:
            if known is None or (names := self._key_names(cache)) == known:
                raise
            return self._rows(url, keys_by_name(given, names))  # of a version that was published since

    def _rows(self, url: str, asked: pa.RecordBatch) -> pa.Table:
        for _ in range(_READINGS):
            tables = list(self._tables(url, asked))
            if len({table.schema.metadata[VERSION] for table in tables}) == 1:
                return pa.concat_tables(tables)
        message = f"{url}: the cache was published anew each of {_READINGS} times while rows were asked for."
        raise StoreError(message, "try again, or ask for fewer keys.")

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._pool is not None:
            self._pool[1].clear()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._url}>"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connections behind: another process opens its own."""
        return {**self.__dict__, "_pool": None}

    def _tables(self, url: str, keys: pa.RecordBatch) -> Iterator[pa.Table]:
        """Ask batch by batch, in halves where a request or its answer is too large."""
        parts = deque(keys.slice(start, BATCH_KEYS) for start in range(0, max(keys.num_rows, 1), BATCH_KEYS))
        while parts:
            part = parts.popleft()
            body = _stream(part)
            halved = part.num_rows > 1
            table = None if halved and len(body) > BODY_BYTES else self._ask(url, body, halved=halved)
            if table is None:
                half = part.num_rows // 2
                parts.extendleft([part.slice(half), part.slice(0, half)])
            else:
                yield table

    def _ask(self, url: str, body: bytes, *, halved: bool) -> pa.Table | None:
        """Send one batch; None where it is too large and can be halved."""
        answer = self._send("POST", url, body)
        if answer.status == _TOO_LARGE and halved:
            return None
        if answer.status != _OK:
            raise _error(url, answer.status, answer.data)
        try:
            table = pa.ipc.open_stream(answer.data).read_all()
            if table.schema.metadata and VERSION in table.schema.metadata:
                return table
        except (pa.ArrowException, OSError):
            pass
        raise _unknown(url, "something else than rows")

    def _key_names(self, cache: str) -> KeyNames:
        """Ask what the key's columns are."""
        url = self._url_of(cache)
        answer = self._send("GET", url)
        if answer.status != _OK:
            raise _error(url, answer.status, answer.data)
        try:
            names = self._names[cache] = key_names(json.loads(answer.data)["key"])
        except (ValueError, KeyError, TypeError, SchemaError):
            raise _unknown(url, "something else than a cache") from None
        return names

    def _url_of(self, cache: str) -> str:
        from urllib.parse import quote

        return f"{self._url}/v1/caches/{quote(cache, safe='')}"

    def _send(self, method: str, url: str, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        import urllib3

        headers = {} if body is None else {"content-type": Form.ARROW.value, "accept": Form.ARROW.value}
        if self._authorization is not None:
            headers["authorization"] = self._authorization
        try:
            return self._connections().request(method, url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
            message = f"{self._url} doesn't answer: {reason or error}"
            raise StoreError(message, "check the address, and whether the server runs.") from error

    def _connections(self) -> urllib3.PoolManager:
        """Return the pool of this process: one that came over with a fork shares its sockets."""
        import urllib3

        if self._pool is None or self._pool[0] != os.getpid():
            retry = urllib3.Retry(
                self._retries,
                allowed_methods=None,
                status_forcelist=(429, 503),
                raise_on_status=False,
                backoff_factor=_BACKOFF_SECONDS,
                backoff_max=_LONGEST_BACKOFF_SECONDS,
                backoff_jitter=_BACKOFF_SECONDS,
                retry_after_max=_LONGEST_BACKOFF_SECONDS,
            )
            self._pool = os.getpid(), urllib3.PoolManager(maxsize=_CONNECTIONS, retries=retry, timeout=self._timeout)
        return self._pool[1]


def _checked(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if "@" in url or "?" in url or "#" in url:  # a password, perhaps: it isn't shown
        raise ConfigError("The server's address has more in it than a host, a port and a path.", "give token=...")
    if not known:
        raise ConfigError(f"{url!r} is no address of a server.", "give one such as 'http://127.0.0.1:8080'.")
    return url.rstrip("/")


def _query(columns: Sequence[str] | None) -> str:
    """Return what picks columns, to be put behind a URL."""
    from urllib.parse import quote

    if columns is None:
        return ""
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        raise InputError(f"columns={columns!r} is no list of columns.", 'give one, such as ["score"].')
    return "?columns=" + ",".join(quote(name.encode(errors="surrogatepass"), safe="") for name in columns)


def _stream(batch: pa.RecordBatch) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    return stream.getvalue().to_pybytes()


def _error(url: str, status: int, body: bytes) -> LakeflowError:
    """Return what a server's JSON says as the error that the caller would have got from the cache itself."""
    try:
        said = json.loads(body)["error"]
        kind, message, hint = said["type"], str(said["message"]), said["hint"]
    except (ValueError, KeyError, TypeError):
        return _unknown(url, f"status {status}")
    error = SchemaError if kind == "SchemaError" else _ERRORS.get(status, StoreError)
    return error(f"{url}: {message}", hint)


def _unknown(url: str, what: str) -> StoreError:
    return StoreError(f"{url} answered with {what}.", "check that it is the address of a lakeflow server.")
