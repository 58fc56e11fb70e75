"""Paths -> files with their sizes: from listings, or from the end of a single file."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakeflow_io.errors import NotFoundError, ObjectNotFoundError
from lakeflow_io.storage.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakeflow_io.folder.paths import Given
    from lakeflow_io.storage import ObjectInfo, Transport

__all__ = ["Found", "list_files"]

# Consoles make "folders" on object stores as empty objects. An empty file of these names is damage.
_DATA_SUFFIXES = (".parquet", ".parq", ".pq")
# Of a single file: more than most footers.
_TAIL_BYTES = 64 * 1024
# Where a listing costs a round trip.
_FAR = ("s3", "gs", "azure")


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a folder."""

    uri: str
    size: int
    """Bytes."""
    keys: tuple[tuple[str, str], ...]
    """`key=value` folders on its path, outermost first, as they are written there."""
    tail: bytes = field(default=b"", repr=False)
    """Its last bytes, of a file that was looked for without a listing."""


def list_files(transport: Transport, paths: Sequence[Given]) -> list[Found]:
    """The files that `paths` mean: in the order of `paths`, then by name, each once.

    Raises:
        NotFoundError: a path means no file.
        StoreError: the store failed.
    """
    found: dict[str, Found] = {}
    for given in paths:
        files = sorted(_files(transport, given), key=lambda file: file.uri)
        if not files:
            hint = "check the path; names that begin with _ or . are skipped."
            if given.is_web:
                hint = "check the address; a web server lists nothing, so that each file has to be named."
            elif given.pattern:
                hint = "check the pattern: * and ? stay within one name, ** spans folders, [[] is a bracket."
            raise NotFoundError(f"No files in {given.text!r}.", hint)
        for file in files:
            found.setdefault(file.uri, file)
    return list(found.values())


def _files(transport: Transport, given: Given) -> Iterator[Found]:
    # A name like a file's is one, most often; Spark gives such names to folders.
    if given.base.endswith(_DATA_SUFFIXES) and not given.pattern and Location.parse(given.base).scheme in _FAR:
        single = list(_single(transport, given))
        if single:
            yield from single
            return
    # A layout's levels follow each other: of the folders that were named, those that end in key=value.
    own = _pairs(_trailing(given.folders))
    listed = False
    listing = () if given.is_web else transport.list(given.base)
    for info in listing:
        listed = True
        below = info.uri[len(given.base) :].strip("/").split("/")
        if given.matches(below) and not _is_marker(info):
            yield Found(info.uri, info.size, own + _pairs(below[:-1]))
    if not listed and not given.pattern:
        yield from _single(transport, given)


def _single(transport: Transport, given: Given) -> Iterator[Found]:
    """The path as one object: its last bytes, which come in one request, tell its size."""
    with ThreadPoolExecutor(1) as thread:  # the caller's own thread may run a loop already
        try:
            tail, size = thread.submit(asyncio.run, transport.get_suffix_async(given.base, _TAIL_BYTES)).result()
        except ObjectNotFoundError:
            return
    yield Found(given.base, size, _pairs(_trailing(given.folders[:-1])), bytes(tail))


def _is_marker(info: ObjectInfo) -> bool:
    return info.size == 0 and not info.uri.endswith(_DATA_SUFFIXES)


def _trailing(folders: Sequence[str]) -> Sequence[str]:
    start = len(folders)
    while start and _pairs(folders[start - 1 : start]):
        start -= 1
    return folders[start:]


def _pairs(folders: Sequence[str]) -> tuple[tuple[str, str], ...]:
    split = (folder.partition("=") for folder in folders)
    return tuple((key, value) for key, equals, value in split if key and equals)
