"""Where a cache lies: the folders and files of `<root>/<name>`, and the names it accepts."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lakeflow_io.errors import ConfigError, InputError

__all__ = ["CacheFolder"]

_PLAIN_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class CacheFolder:
    """The folder of one cache."""

    root: Path
    """Absolute; holds one folder per cache."""
    name: str

    @classmethod
    def at(cls, root: str | os.PathLike[str] | None, name: str) -> CacheFolder:
        """Check a root and a name.

        Args:
            root: Default `$LAKEFLOW_HOME/caches`, else `./caches`.
            name: Letters, digits, `_`, `-` and `.`.

        Raises:
            ConfigError: the root isn't a local folder.
            InputError: the name isn't a plain name.
        """
        if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
            message = f"{name!r} can't name a cache."
            raise InputError(message, "use letters, digits, '_', '-' and '.', and no '.' at the start.")
        text = os.fspath(os.path.join(os.environ.get("LAKEFLOW_HOME", ""), "caches") if root is None else root)  # noqa: PTH118
        if "://" in text:
            text = _local_path(text)
        return cls(Path(os.path.abspath(os.path.expanduser(text))), name)  # noqa: PTH100,PTH111  (a folder need not exist; keep symlinks)

    @classmethod
    def every(cls, root: str | os.PathLike[str] | None) -> list[CacheFolder]:
        """Return the caches of a root that have a version, by name.

        Raises:
            ConfigError: the root isn't a local folder.
        """
        folder = cls.at(root, "any").root
        names = [path.parent.name for path in folder.glob("*/CURRENT")]
        return [cls(folder, name) for name in sorted(names) if _PLAIN_NAME.fullmatch(name)]

    @property
    def path(self) -> Path:
        """The folder of the cache."""
        return self.root / self.name

    @property
    def versions(self) -> Path:
        """One folder per version, published or being built."""
        return self.path / "versions"

    @property
    def staging(self) -> Path:
        """Segments that tasks of a run wrote, until the run publishes."""
        return self.path / "staging"

    @property
    def pointer(self) -> Path:
        """The file that names the current version and the published ones."""
        return self.path / "CURRENT"

    @property
    def lock(self) -> Path:
        """Held while versions are claimed, published, rolled back or removed."""
        return self.path / "lock"


def _local_path(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    message = f"A cache can't live at {uri!r}: this version keeps caches in local folders only."
    raise ConfigError(message, 'give a folder, such as "./caches".')
