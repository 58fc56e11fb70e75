"""A builder's claim on a store: an object that it renews for as long as it lives.

No store tells when a client died, as a kernel does with a lock. So a claim says when it was renewed, and one
that wasn't for an hour is taken for a dead builder's. Which of both is wrong about a builder that only slept
never matters: whoever collects deletes the claim and then replaces the pointer, before it deletes files; the
builder looks at its claim between the two steps of each replacement of the pointer, and so either publishes
before, or finds its claim gone.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from lakeflow_io.errors import LakeflowError, ObjectNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Generator

    from lakeflow_io.storage import Transport

__all__ = ["LEASE_SECONDS", "is_live", "leased"]

LEASE_SECONDS = 3600.0
"""A claim that wasn't renewed for so long is a dead builder's. Clocks of machines differ by far less."""
_RENEWALS = 6  # within a lease: so many may fail in a row, but for one

_log = logging.getLogger("lakeflow.cache")


@contextmanager
def leased(transport: Transport, uri: str) -> Generator[None]:
    """Hold the claim `uri` while the block runs.

    Raises:
        UnsupportedError: the store has no conditional writes.
        StoreError: it can't be written.
    """
    if not transport.put_if_absent(uri, _content()):
        raise _unconditional(uri)
    ended = Event()
    thread = Thread(target=_renew, args=(transport, uri, ended), name="lakeflow-lease", daemon=True)
    try:
        _prove_conditions(transport, uri)
        thread.start()
        yield
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()
        try:
            transport.delete(uri)
        except LakeflowError as error:
            _log.warning("The claim %s stays until it is %d s old: %s", uri, LEASE_SECONDS, error)


def is_live(transport: Transport, uri: str) -> bool:
    """Tell whether whoever holds a claim may be at work."""
    try:
        return time.time() - float(json.loads(bytes(transport.get(uri)))["renewed"]) < LEASE_SECONDS
    except (ObjectNotFoundError, ValueError, KeyError, TypeError):
        return False


def _renew(transport: Transport, uri: str, ended: Event) -> None:
    while not ended.wait(LEASE_SECONDS / _RENEWALS):
        try:
            if not _replaced(transport, uri):
                return
        except ObjectNotFoundError:
            return  # it was taken away, and must not come back
        except LakeflowError as error:
            _log.warning("The claim %s wasn't renewed: %s", uri, error)


def _replaced(transport: Transport, uri: str) -> bool:
    found = transport.get_if_changed(uri)
    return found is not None and transport.put_if_unchanged(uri, _content(), found[1])


def _prove_conditions(transport: Transport, uri: str) -> None:
    """Replace the claim by its tag, and fail to by the tag that it had: some stores ignore conditions."""
    found = transport.get_if_changed(uri)
    if found is None or not transport.put_if_unchanged(uri, _content(), found[1]):
        raise _unconditional(uri)
    if transport.put_if_unchanged(uri, _content(), found[1]):
        raise _unconditional(uri)


def _content() -> bytes:
    # Each is another one, by its time: the tags of many stores are digests.
    facts = {"renewed": time.time(), "tick": time.perf_counter_ns(), "host": socket.gethostname(), "pid": os.getpid()}
    return json.dumps(facts).encode() + b"\n"


def _unconditional(uri: str) -> UnsupportedError:
    message = f"The store of {uri} doesn't keep to conditions of writes (If-None-Match, If-Match)."
    return UnsupportedError(
        message, "publish to a store that does, or to a folder: two publishers would undo each other."
    )
