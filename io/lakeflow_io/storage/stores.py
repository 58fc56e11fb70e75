"""A location and properties -> the obstore store that holds the object."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.azure import azure_options
from lakeflow_io.storage.gcs import gcs_options
from lakeflow_io.storage.properties import client_options
from lakeflow_io.storage.s3 import s3_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakeflow_io.storage.location import Location

__all__ = ["open_store"]

# Ranged reads are scheduled, and so repeated, by who asks for them.
_ONE_ATTEMPT = {"max_retries": 0, "retry_timeout": timedelta(0)}
# The properties by which each kind of store is configured.
_FAMILIES = {"s3": "s3.*", "gs": "gcs.*", "azure": "adls.*"}


def open_store(location: Location, properties: Mapping[str, str], *, once: bool) -> Any:
    """The store of `location`; one whose requests are never repeated where `once`.

    Raises:
        ConfigError: the properties don't describe a store of this kind.
    """
    retries: dict[str, Any] = {"retry_config": _ONE_ATTEMPT} if once else {}
    try:
        if location.scheme == "s3":
            return S3Store(location.bucket, **s3_options(properties, location.bucket), **retries)
        if location.scheme == "gs":
            return GCSStore(location.bucket, **gcs_options(properties), **retries)
        if location.scheme == "azure":
            return AzureStore(location.bucket, **azure_options(properties, location), **retries)
        if location.scheme in ("http", "https"):
            address = f"{location.scheme}://{location.bucket}"
            options: Any = client_options(properties, address)
            return HTTPStore(address, client_options=options, **retries)
    except (BaseError, ValueError) as error:
        # Neither what obstore's HTTP client says of an address nor the cause is passed on: a proxy's
        # address may hold a password.
        said = str(error).splitlines()[0] if "HTTP client" not in str(error) else "an address is none"
        raise ConfigError(
            f"No store can be opened for {location.bucket!r}: {said}.",
            f"check {_FAMILIES.get(location.scheme, 'the properties')}, and the environment where they name nothing.",
        ) from None
    return MemoryStore() if location.scheme == "memory" else LocalStore()
