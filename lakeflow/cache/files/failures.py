"""Turns what the operating system and Arrow raise into lakeflow's own errors, with the path in them."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.errors import (
    AccessDeniedError,
    CorruptFileError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import TracebackType

__all__ = ["reading", "writing"]

# EFBIG: a file over the process's size limit (RLIMIT_FSIZE) has no room either.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def writing(path: Path | str) -> Generator[None]:
    """Explain a failure to write at `path`.

    Raises:
        StoreFullError: there is no space left.
        AccessDeniedError: the folder isn't writable.
        StoreError: any other failure of the file system.
        UnsupportedError: a column whose type Arrow can't sort, join or write.
    """
    try:
        yield
    except OSError as error:
        raise _of_system("write", path, error) from error
    except pa.ArrowException as error:
        message = f"Can't write {path}: {error}"
        raise UnsupportedError(message, "cast the column to another type first.") from error


class reading:  # noqa: N801  (as it is used; a request that opens a version enters some: a generator takes five calls)
    """Explain a failure to read `path`, which a manifest or the pointer names.

    Args:
        path: What is read.
        hint: What to do where it is damaged or gone.

    Raises:
        ObjectNotFoundError: the file isn't there.
        CorruptFileError: the file isn't what its name says.
        AccessDeniedError, StoreError: the file system refused.
    """

    __slots__ = ("_hint", "_path")

    def __init__(self, path: Path | str, hint: str = "roll back to another version, or build it again.") -> None:
        self._path = path
        self._hint = hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            message = f"{self._path} is gone, though the cache says that it exists."
            raise ObjectNotFoundError(message, self._hint) from error
        if isinstance(error, OSError):
            raise _of_system("read", self._path, error) from error
        if isinstance(error, (pa.ArrowException, ValueError, KeyError, TypeError)):
            message = f"{self._path} can't be decoded: {error}"
            raise CorruptFileError(message, self._hint) from error


def _of_system(action: str, path: Path | str, error: OSError) -> StoreError:
    if error.errno in _FULL:
        return StoreFullError(f"No space left to {action} {path}.", "free some space, then run it again.")
    message = f"Can't {action} {path}: {error.strerror or error}"
    if error.errno in _DENIED:
        return AccessDeniedError(message, "check the owner and mode of the folder.")
    return StoreError(message)
