"""Properties -> the transport for them, one for the whole process so that connections are reused."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.boto3_client import SESSION
from lakeflow_io.storage.credentials import FUNCTION, TABLE, without_credentials
from lakeflow_io.storage.object_store import ObjectStoreTransport
from lakeflow_io.storage.relocated import RELOCATE, RelocatedTransport, Relocation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakeflow_io.storage.transport import Transport

__all__ = ["open_transport"]

# Used last, of all: each load of a table may bring keys that nobody renews.
_KEPT = 32
_KIND = "lakeflow.s3.transport"

_transports: OrderedDict[tuple[tuple[str, str], ...], Transport] = OrderedDict()
_lock = Lock()


def open_transport(properties: Mapping[str, str]) -> Transport:
    """The transport for these properties.

    Where they say how credentials are renewed, those of the moment make no difference.

    Raises:
        ConfigError: a property has a value that it can't have.
    """
    renewed = TABLE in properties or FUNCTION in properties
    key = tuple(sorted((without_credentials(properties) if renewed else properties).items()))
    with _lock:
        if key in _transports:
            _transports.move_to_end(key)
            return _transports[key]
    # Without the lock: a source of credentials may open a transport of its own.
    made = _make(properties)
    with _lock:
        kept = _transports.setdefault(key, made)
        while len(_transports) > _KEPT:
            _transports.popitem(last=False)
        return kept


def _make(properties: Mapping[str, str]) -> Transport:
    relocation = Relocation.of(properties)
    if relocation is not None:
        inner = {name: value for name, value in properties.items() if name != RELOCATE}
        return RelocatedTransport(open_transport(inner), relocation)
    kind = properties.get(_KIND) or ("boto3" if properties.get(SESSION) else "obstore")
    if kind not in ("obstore", "boto3"):
        raise ConfigError(f"{_KIND}={kind!r} is unknown.", "it is obstore or boto3.")
    if kind == "boto3":
        from lakeflow_io.storage.boto3_transport import Boto3Transport

        return Boto3Transport(properties)
    if properties.get(SESSION):
        raise ConfigError(f"{_KIND}=obstore contradicts {SESSION}.", "leave the first out: only boto3 uses a session.")
    return ObjectStoreTransport(properties)
