"""How a push ends: what fails once a version is current says that it is, and no lock is worth a push."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakeflow_io.errors import CommitConflictError, LakeflowError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["clearing", "given_back"]

_log = logging.getLogger("lakeflow.cache")


@contextmanager
def clearing(version: str, shown: str) -> Generator[None]:
    """Remove old rows in this block, after the pointer was set.

    Args:
        version: What is current now.
        shown: The store, for messages.

    Raises:
        CommitConflictError: as it came: another push has taken over, and removes them.
        StoreError: of the kind that was raised; it says that the version is current.
    """
    try:
        yield
    except CommitConflictError:
        raise
    except StoreError as error:
        message = f"{version} is current in {shown}, but older rows aren't removed: {error.message}"
        raise type(error)(message, "the next push removes them.") from error


@contextmanager
def given_back(release: Callable[[], object], seconds: int) -> Generator[None]:
    """Let others push when the block ends. Where that fails, nothing else does: the lock ends by itself.

    Args:
        release: Gives the lock back.
        seconds: After how many it ends by itself.
    """
    try:
        yield
    except BaseException as error:
        if left := _left(release, seconds):
            error.add_note(left)
        raise
    if left := _left(release, seconds):
        _log.warning(left)


def _left(release: Callable[[], object], seconds: int) -> str | None:
    try:
        release()
    except CommitConflictError:  # it is another's by now
        return None
    except LakeflowError as error:
        return f"The lock of the push stays for up to {seconds} seconds: {error.message}"
    return None
