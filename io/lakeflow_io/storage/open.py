"""Properties -> the transport for them, one for the whole process so that connections are reused."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.credentials import FUNCTION, TABLE, is_credential, without_credentials
from lakeflow_io.storage.object_store import ObjectStoreTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakeflow_io.storage.transport import Transport

__all__ = ["open_transport"]

# Credentials that nobody renews come and go with each load of a table: the transports that were
# used last are kept. All others stay, since what lies in `memory://` lies in them.
_KEPT = 16
_KIND = "lakeflow.s3.transport"

_transports: dict[tuple[tuple[str, str], ...], Transport] = {}
_passing: OrderedDict[tuple[tuple[str, str], ...], Transport] = OrderedDict()
_lock = Lock()


def open_transport(properties: Mapping[str, str]) -> Transport:
    """The transport for these properties.

    Where they say how credentials are renewed, those of the moment make no difference.

    Raises:
        ConfigError: a property has a value that it can't have.
    """
    renewed = TABLE in properties or FUNCTION in properties
    key = tuple(sorted((without_credentials(properties) if renewed else properties).items()))
    passing = not renewed and any(is_credential(name) for name in properties)
    with _lock:
        kept = _passing if passing else _transports
        if key not in kept:
            kept[key] = _make(properties)
        if passing:
            _passing.move_to_end(key)
            while len(_passing) > _KEPT:
                _passing.popitem(last=False)
        return kept[key]


def _make(properties: Mapping[str, str]) -> Transport:
    kind = properties.get(_KIND) or "obstore"
    if kind == "obstore":
        return ObjectStoreTransport(properties)
    if kind != "boto3":
        raise ConfigError(f"{_KIND}={kind!r} is unknown.", "it is obstore or boto3.")
    from lakeflow_io.storage.boto3_transport import Boto3Transport

    return Boto3Transport(properties)
