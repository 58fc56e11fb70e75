"""What a server answers instead of an answer, and the error of ours that it becomes."""

from __future__ import annotations

from dataclasses import dataclass

from lakeflow_io.errors import AccessDeniedError, ConfigError, LakeflowError, StoreError, StoreFullError

__all__ = ["FULL", "LATER", "MOVED", "Refusal", "error_of", "out_of_reach"]

LATER = frozenset({"LOADING", "BUSY", "TRYAGAIN", "ASK", "CLUSTERDOWN", "MASTERDOWN"})
"""It starts, a script holds it, or a slot of a cluster is on its way: later it will do it."""
MOVED = frozenset({"MOVED", "READONLY"})
"""Another node of the cluster has the slot, or has become the master."""
FULL = "OOM"
_DENIED = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that a server answered."""

    code: str
    """Its first word."""
    text: str
    """All of it."""

    @classmethod
    def of(cls, line: bytes) -> Refusal:
        """Take a line apart, without its leading `-`."""
        text = line.decode(errors="replace")
        return cls(text.partition(" ")[0], text)


def error_of(refusal: Refusal, shown: str) -> LakeflowError:
    """Return the error to raise for a refusal of the server `shown`."""
    text = refusal.text
    if refusal.code in _DENIED or "invalid password" in text or "without any password" in text:
        return AccessDeniedError(f"{shown} denies access: {text}", "check the user and password.")
    if refusal.code == FULL:
        return StoreFullError(f"No memory left in {shown}: {text}", "raise its maxmemory, or remove other data.")
    if "DB index" in text or "SELECT is not allowed" in text:
        return ConfigError(f"{shown} has no such database: {text}", "a cluster has only database 0.")
    if refusal.code in LATER:
        return StoreError(f"{shown} isn't ready: {text}", "try again when it is.")
    return StoreError(f"{shown} refuses: {text}")


def out_of_reach(shown: str, error: BaseException) -> StoreError:
    """Return the error to raise where a connection fails."""
    return StoreError(f"Can't reach {shown}: {error}", "check the address, and that it runs.")
