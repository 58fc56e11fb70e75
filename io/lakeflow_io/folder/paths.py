"""What a caller names (a file, a folder, a glob) -> where to list, and what of it is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lakeflow_io.errors import InputError
from lakeflow_io.storage.location import WEB, is_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Given", "take_apart"]

_WILDCARDS = "*?["


@dataclass(frozen=True, slots=True)
class Given:
    """One path of a call."""

    text: str
    """As it was written, for messages."""
    base: str
    """The URI up to the first wildcard, without a slash at its end. A web address is one whole."""
    pattern: tuple[str, ...]
    """The parts behind it, from the first that has a wildcard on."""

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that `base` is made of."""
        path = self.base.partition("?")[0] if self.is_web else self.base
        return tuple(part for part in path.partition("://")[2].split("/")[1:] if part)

    @property
    def is_web(self) -> bool:
        """Whether it is one file behind a web server, which has no folders."""
        return self.base.partition("://")[0] in WEB

    def matches(self, below: Sequence[str]) -> bool:
        """Tell whether a file is meant.

        Args:
            below: Its path from `base` on, in parts. A folder that the pattern matches is meant whole.
        """
        return _matches(below, self.pattern)


def take_apart(path: str | os.PathLike[str]) -> Given:
    """A URI, or a local path, absolute or relative to the working directory.

    Raises:
        InputError: it is no path, or there is a wildcard in the bucket's name.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"{path!r} is no path.", "give a path, a URI or a glob, or a list of them.")
    text = os.fspath(path)
    if "\0" in text:
        raise InputError(f"{text!r} is no path: it has a NUL character.", "give a path, a URI or a glob.")
    scheme, _, rest = _uri(text).partition("://")
    if scheme in WEB:
        # '?' begins its query there, which may be a signature, and '*' and '[' are of its names.
        return Given(text.partition("?")[0], text, ())
    bucket, *parts = rest.rstrip("/").split("/")
    if any(character in bucket for character in _WILDCARDS):
        raise InputError(f"{text!r} has a wildcard in its bucket's name.", "name one bucket a path.")
    wild = next((number for number, part in enumerate(parts) if any(c in part for c in _WILDCARDS)), len(parts))
    return Given(text, "/".join([f"{scheme}://{bucket}", *parts[:wild]]), tuple(parts[wild:]))


def _uri(text: str) -> str:
    if not is_uri(text):
        return "file://" + os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111  (a Path keeps "..")
    return text if "://" in text else "file://" + text.removeprefix("file:")


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not any(_is_hidden(part) for part in parts)
    if not parts:
        return False
    if pattern[0] == "**":
        deepest = next((depth for depth, part in enumerate(parts) if _is_hidden(part)), len(parts))
        return any(_matches(parts[depth:], pattern[1:]) for depth in range(deepest + 1))
    if _is_hidden(parts[0]) and not pattern[0].startswith(parts[0][0]):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _is_hidden(part: str) -> bool:
    """`_SUCCESS`, `_delta_log`, `.crc`: what engines keep beside data. `_key=value` is a partition."""
    return part.startswith(".") or (part.startswith("_") and "=" not in part)
