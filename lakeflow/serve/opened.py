"""Which cache a request means: a checked name, and one version for the whole of the request."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from lakeflow.cache.cache import Cache
from lakeflow.cache.keys.composite import CompositeKey
from lakeflow.cache.shelves import cache_names, check_name, is_remote
from lakeflow.serve.answer import RequestError
from lakeflow.serve.limits import KEY_BYTES, NAME_CHARACTERS
from lakeflow_io.errors import LakeflowError, NotFoundError, SchemaError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakeflow.cache.keys.column import Key, KeyColumn
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["Caches", "key_of_path"]

_log = logging.getLogger(__name__)
_INTEGER = re.compile(rb"-?[0-9]{1,20}")  # int() alone also takes '1_000', ' 7' and digits of other scripts


class Caches:
    """The caches of one folder or store, each opened when it is first asked for.

    Args:
        root: The folder of caches, absolute, or a URI.
        storage: Storage properties.
    """

    def __init__(self, root: str, storage: Mapping[str, str] | None = None) -> None:
        self._root, self._storage = root, storage
        self.is_remote = is_remote(root)
        """Whether a look-up may wait for a store."""
        self._known: dict[str, Cache] = {}

    def open(self, name: str) -> tuple[Cache, OpenVersion]:
        """Return a cache and its current version, which is mapped.

        Raises:
            InputError: the name can't name a cache.
            NotFoundError: nothing was published under the name.
            UnsupportedError: another version of lakeflow wrote it.
            StoreError, DataError: its files can't be read.
        """
        cache = self._known.get(name) or self._find(name)
        try:
            opened = cache._version()  # noqa: SLF001  (the row and its ETag must be of one version)
        except NotFoundError:
            self._known.pop(name, None)
            # Its own message names the folder, which is no business of the network; so below.
            raise _not_there(name) from None
        except UnsupportedError as error:
            _log.error("A cache can't be opened: %s", error)
            raise UnsupportedError(f"Cache {name!r} is of another version of lakeflow than the server.") from None
        self._known[name] = cache
        return cache, opened

    def unready(self, names: Sequence[str]) -> int:
        """Try to open caches; return how many can't be, and log which."""
        failed = 0
        for name in names:
            try:
                self.open(name)
            except (LakeflowError, RequestError, OSError) as error:
                _log.warning("Not ready: cache %s: %s", name, error)
                failed += 1
        return failed

    def _find(self, name: str) -> Cache:
        """Return the cache of a name that the folder lists: no file's name is made of what a request says."""
        if len(name) > NAME_CHARACTERS:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"A cache's name has at most {NAME_CHARACTERS} characters.")
        check_name(name)
        listed = cache_names(self._root, self._storage)
        if name not in listed:
            raise _not_there(name)
        return Cache(listed[listed.index(name)], self._root, storage=self._storage)


def key_of_path(encoded: bytes, column: KeyColumn) -> Key:
    """Return a key from a path: digits for integers, UTF-8 for strings, any bytes for binary.

    Args:
        encoded: The bytes, percent-encoded. Where several columns are the key: their values with commas between, as
            RFC 6570, 3.2.2 writes a list; a comma in a value is encoded.
        column: What the cache's keys are.

    Raises:
        RequestError: too long.
        SchemaError: no integer, no UTF-8, or another number of values.
    """
    if not isinstance(column, CompositeKey):
        return _value_of_path(encoded, column)
    values = encoded.split(b",")
    if len(values) != len(column.parts):
        message = f"The path has {len(values)} values for the columns {column.name}."
        raise SchemaError(message, "give one for each, in this order, percent-encoded, with commas between.")
    return tuple(_value_of_path(each, part) for each, part in zip(values, column.parts, strict=True))


def _value_of_path(encoded: bytes, column: KeyColumn) -> Any:
    raw = unquote_to_bytes(encoded)
    if len(raw) > KEY_BYTES:
        raise RequestError(HTTPStatus.REQUEST_URI_TOO_LONG, f"A key has at most {KEY_BYTES} bytes.")
    if column.python is bytes:
        return raw
    if column.python is int:
        if not _INTEGER.fullmatch(raw):
            message = f"Key {raw.decode(errors='backslashreplace')!r} is no integer."
            raise SchemaError(message, f"the key column {column.name!r} is {column.type}.")
        return int(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise SchemaError(f"Key {raw!r} isn't UTF-8.", "percent-encode the UTF-8 bytes of the text.") from None


def _not_there(name: str) -> NotFoundError:
    return NotFoundError(f"There is no cache {name!r} with a published version.")
