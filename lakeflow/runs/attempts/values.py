"""A function's value, where nothing is written: small enough for the driver, and able to travel."""

from __future__ import annotations

from typing import Any

import cloudpickle

from lakeflow_io.errors import FunctionError

__all__ = ["MOST_VALUE_BYTES", "check_value"]

MOST_VALUE_BYTES = 64 * 2**20
"""Pickled. The driver holds all values of a run at once, and each passes through it in one message."""


class _TooLarge(Exception):  # noqa: N818  (caught where it is raised)
    """More has been written than a value may have."""


class _Counted:
    """A file that counts what is written into it, and keeps nothing."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.bytes += size
        if self.bytes > MOST_VALUE_BYTES:
            raise _TooLarge
        return size


def check_value(value: Any, what: str) -> None:
    """Refuse what the driver can't take; the same on every engine.

    Args:
        value: What the function returned.
        what: What it is, for the message.

    Raises:
        FunctionError: it is too large, or can't be pickled.
    """
    counted = _Counted()
    try:
        cloudpickle.CloudPickler(counted, protocol=5).dump(value)
    except _TooLarge:
        raise FunctionError(
            f"{what} takes more than {MOST_VALUE_BYTES // 2**20} MiB, which is more than values may have.",
            "write it: return a frame and give foreach a table as into=; or return something smaller.",
        ) from None
    except Exception as error:
        raise FunctionError(
            f"{what} can't be sent to the driver: {error}", "return values that pickle, or frames with into=."
        ) from error
