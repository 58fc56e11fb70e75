"""Which cache a request means: a checked name, and one version for the whole of the request."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from lakeflow.cache.cache import Cache
from lakeflow.serve.answer import RequestError
from lakeflow_io.errors import NotFoundError, SchemaError

if TYPE_CHECKING:
    from lakeflow.cache.keys import Key, KeyColumn
    from lakeflow.cache.version import OpenVersion

__all__ = ["KEY_BYTES", "Caches", "key_of_path"]

KEY_BYTES = 4096
"""The longest key that is looked up; servers and proxies commonly refuse request lines of 8 KiB."""

_NAME_CHARACTERS = 255  # the longest file name that Linux file systems take
_INTEGER = re.compile(rb"-?[0-9]{1,20}")  # int() alone also takes '1_000', ' 7' and digits of other scripts


class Caches:
    """The caches of one folder, each opened when it is first asked for.

    Args:
        root: The folder of caches, absolute.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[str, Cache] = {}

    def open(self, name: str) -> tuple[Cache, OpenVersion]:
        """Return a cache and its current version, which is mapped.

        Raises:
            InputError: the name can't name a cache; it comes nowhere near a file name then.
            NotFoundError: nothing was published under the name.
            StoreError, DataError: its files can't be read.
        """
        if len(name) > _NAME_CHARACTERS:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"A cache's name has at most {_NAME_CHARACTERS} characters.")
        cache = self._known.get(name) or Cache(name, self._root)
        try:
            opened = cache._version()  # noqa: SLF001  (the row and its ETag must be of one version)
        except (NotFoundError, NotADirectoryError):
            self._known.pop(name, None)
            # Its own message names the folder, which is no business of the network.
            raise NotFoundError(f"There is no cache {name!r} with a published version.") from None
        self._known[name] = cache
        return cache, opened


def key_of_path(raw: bytes, column: KeyColumn) -> Key:
    """Return a key from the bytes of a path: digits for integers, UTF-8 for strings, any for binary.

    Args:
        raw: The bytes, with percent-encoding undone.
        column: What the cache's keys are.

    Raises:
        RequestError: too long.
        SchemaError: no integer, or no UTF-8.
    """
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
