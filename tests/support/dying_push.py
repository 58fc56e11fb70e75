"""A push to DynamoDB in a process of its own, which is killed in the middle."""

from __future__ import annotations

import os
import signal
from importlib import import_module

import forked

KILLED = -signal.SIGKILL
"""The exit code."""


def killed_push(root: str, url: str, where: str, name: str, call: int) -> None:
    """Push the cache `scores`, and be killed.

    Args:
        root: The folder of caches.
        url: Of the table.
        where: A module of `lakeflow.cache.dynamodb`.
        name: One of its names that is called.
        call: At which call of it the process ends, from 1, before the call does anything.
    """
    process = forked.context().Process(target=_push, args=(root, url, where, name, call))
    process.start()
    process.join()
    assert process.exitcode == KILLED


def _push(root: str, url: str, where: str, name: str, call: int) -> None:
    from lakeflow.cache import Cache
    from lakeflow.cache.dynamodb import lease, names, push, send

    # One batch after the other, and how far the push is, is recorded with each.
    lease.RENEW_SECONDS, send._MOST_WAITING, names._BUCKET_ROWS = 0, 1, 30
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    module = import_module(f"lakeflow.cache.dynamodb.{where}")
    original, left = getattr(module, name), call

    def dying(*given: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given, **named)

    setattr(module, name, dying)
    push(Cache("scores", root), url)
