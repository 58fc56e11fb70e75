"""Which columns of rows a request asks for: `?columns=a,b`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from lakeflow.cache.files.columns import chosen
from lakeflow.serve.answer import RequestError
from lakeflow.serve.limits import QUERY_BYTES
from lakeflow_io.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["asked_columns"]

_HINT = "write columns=a,b: each name percent-encoded, with commas between."


def asked_columns(query: bytes, opened: OpenVersion) -> list[str] | None:
    """Return the columns that a query names, in its order: none for `columns=`; None where it doesn't say.

    Args:
        query: What is behind the `?` of a URL, percent-encoded. Other parameters than `columns` mean nothing.
        opened: The version that is asked.

    Raises:
        RequestError: 414, too long.
        InputError: `columns` is there twice, names a column twice, or one that the version doesn't have.
    """
    if not query:
        return None
    if len(query) > QUERY_BYTES:
        raise RequestError(HTTPStatus.REQUEST_URI_TOO_LONG, f"A query has at most {QUERY_BYTES} bytes.")
    pairs = [pair.partition(b"=") for pair in query.replace(b"+", b" ").split(b"&")]
    values = [value for name, _, value in pairs if unquote_to_bytes(name) == b"columns"]
    if not values:
        return None
    if len(values) > 1:
        raise InputError("The query has columns= more than once.", _HINT)
    try:
        names = [unquote_to_bytes(name).decode() for name in values[0].split(b",") if values[0]]
    except UnicodeDecodeError:
        raise InputError("The name of a column isn't UTF-8.", _HINT) from None
    try:
        return chosen(opened.schema, names, opened.id)
    except NotFoundError as error:  # of the request, not of what it is for
        raise InputError(error.message, error.hint) from None
