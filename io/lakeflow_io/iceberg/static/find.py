"""A table's folder -> its newest metadata file.

Two ways of naming them are in use. Catalogs write `00003-<uuid>.metadata.json`. Hadoop's tables have
`v3.metadata.json` and a `version-hint.text` that names the newest, or one that was the newest a moment
ago: whoever commits writes the file first. Either may be compressed, under two more names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lakeflow_io.errors import NotFoundError, ObjectNotFoundError
from lakeflow_io.storage.location import WEB, join

if TYPE_CHECKING:
    from lakeflow_io.storage import Transport

__all__ = ["SUFFIXES", "find_metadata", "is_metadata_file", "table_folder"]

SUFFIXES = (".gz.metadata.json", ".metadata.json.gz", ".metadata.json")
_NAME = re.compile(r"(?:v(?P<hadoop>\d+)|(?P<number>\d+)-[^/]+?)(?:\.gz\.metadata\.json|\.metadata\.json(?:\.gz)?)")
_FOLDER, _HINT = "metadata", "version-hint.text"
_HADOOP_NAMES = ("v{}.metadata.json", "v{}.gz.metadata.json", "v{}.metadata.json.gz")


def is_metadata_file(path: str) -> bool:
    """Tell a metadata file from a folder, by its name."""
    return path.endswith(SUFFIXES)


def table_folder(metadata_file: str) -> str:
    """The folder of the table that a metadata file belongs to."""
    folder = metadata_file.rpartition("/")[0]
    return folder.rpartition("/")[0] if folder.rpartition("/")[2] == _FOLDER else folder


def find_metadata(transport: Transport, path: str) -> list[str]:
    """The newest metadata file of a table; several where they have one version, of which one was never committed.

    Args:
        transport: Where the table lies.
        path: The URI of a metadata file, of the table's folder, or of its `metadata` folder.

    Raises:
        NotFoundError: there is none.
    """
    if is_metadata_file(path):
        return [path]
    base = path.rstrip("/")
    for folder in (join(base, _FOLDER), base):
        found = _newest(transport, folder)
        if found:
            return found
    raise NotFoundError(
        f"No table in {path}: it has no metadata file.",
        "give the table's folder, the one with 'metadata' in it, or a metadata file itself.",
    )


def _newest(transport: Transport, folder: str) -> list[str]:
    hint = _hint(transport, folder)
    if folder.partition("://")[0] in WEB:  # which lists nothing
        return _behind_web(transport, folder, hint) if hint else []
    below = (info.uri[len(folder) :].strip("/") for info in transport.list(folder))
    names = [name for name in below if "/" not in name]
    if hint and not hint.isdigit():
        named = [name for name in names if name == hint or name.removesuffix(_suffix(name)) == hint]
        return [join(folder, name) for name in named]
    versions: dict[int, list[str]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        # A hint speaks of Hadoop's names alone.
        if match and (match["hadoop"] or not hint):
            versions.setdefault(int(match["hadoop"] or match["number"]), []).append(name)
    newest = max(versions, default=None)
    return [] if newest is None else [join(folder, name) for name in sorted(versions[newest])]


def _hint(transport: Transport, folder: str) -> str:
    try:
        return bytes(transport.get(join(folder, _HINT))).decode("utf-8", "replace").strip()
    except ObjectNotFoundError:
        return ""


def _suffix(name: str) -> str:
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def _behind_web(transport: Transport, folder: str, hint: str) -> list[str]:
    names = [each.format(hint) for each in _HADOOP_NAMES] if hint.isdigit() else [hint]
    names = [name if name.endswith(SUFFIXES) else f"{name}.metadata.json" for name in names]
    for name in names:
        try:
            transport.get(join(folder, name))
        except ObjectNotFoundError:
            continue
        return [join(folder, name)]
    return []
