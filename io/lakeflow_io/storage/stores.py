"""A location and properties -> the obstore store that holds the object."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.azure import azure_options
from lakeflow_io.storage.gcs import gcs_options
from lakeflow_io.storage.location import WEB
from lakeflow_io.storage.properties import client_options
from lakeflow_io.storage.s3 import s3_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakeflow_io.storage.credentials import FreshProperties
    from lakeflow_io.storage.location import Location

__all__ = ["open_store"]

# Ranged reads are scheduled, and so repeated, by who asks for them.
_ONE_ATTEMPT = {"max_retries": 0, "retry_timeout": timedelta(0)}
# The properties by which each kind of store is configured.
_FAMILIES = {"s3": "s3.*", "gs": "gcs.*", "azure": "adls.*"}


def open_store(
    location: Location, properties: Mapping[str, str], *, once: bool, fresh: FreshProperties | None = None
) -> Any:
    """The store of `location`.

    Args:
        location: An object or folder in it.
        properties: How to reach it.
        once: Never repeat a request.
        fresh: Where its credentials are renewed.

    Raises:
        ConfigError: the properties don't describe a store of this kind.
    """
    retries: dict[str, Any] = {"retry_config": _ONE_ATTEMPT} if once else {}
    try:
        options = _options(location, fresh.current()[0] if fresh else properties)
        if fresh is not None:
            options = fresh.provided(location.scheme, options, options.get("account_name", ""))
        if location.scheme == "s3":
            return S3Store(location.bucket, **options, **retries)
        if location.scheme == "gs":
            return GCSStore(location.bucket, **options, **retries)
        if location.scheme == "azure":
            return AzureStore(location.bucket, **options, **retries)
        if location.scheme in WEB:
            return HTTPStore(_address(location), **options, **retries)
    except (BaseError, ValueError) as error:
        # Neither what obstore's HTTP client says of an address nor the cause is passed on: a proxy's
        # address may hold a password.
        said = str(error).splitlines()[0] if "HTTP client" not in str(error) else "an address is none"
        raise ConfigError(
            f"No store can be opened for {location.bucket!r}: {said}.",
            f"check {_FAMILIES.get(location.scheme, 'the properties')}, and the environment where they name nothing.",
        ) from None
    return _memory(location.bucket) if location.scheme == "memory" else LocalStore()


@cache
def _memory(bucket: str) -> MemoryStore:  # noqa: ARG001  (one for each)
    # The process's, not a transport's: what is put there is found again whatever the other properties are.
    return MemoryStore()


def _options(location: Location, properties: Mapping[str, str]) -> dict[str, Any]:
    if location.scheme == "s3":
        return s3_options(properties, location.bucket)
    if location.scheme == "gs":
        return gcs_options(properties)
    if location.scheme == "azure":
        return azure_options(properties, location)
    return {"client_options": client_options(properties, _address(location))}


def _address(location: Location) -> str:
    # obstore puts the path between an address and its query, and keeps that.
    return f"{location.scheme}://{location.bucket}" + (f"/?{location.query}" if location.query else "")
