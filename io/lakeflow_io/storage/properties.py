"""Catalog properties -> the configuration of an object store.

The names are pyiceberg's (https://py.iceberg.apache.org/configuration/), so that one set of
properties serves the catalog, this package and every other Iceberg client.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["s3_options", "store_properties"]

# Whole-request limit. obstore's own 30 s cuts large ranges on slow links; 5 min lets 8 MiB through at 30 kB/s.
_REQUEST_TIMEOUT_SECONDS = 300
_CONNECT_TIMEOUT_SECONDS = 10

# A store's option, and the catalog properties that set it, first match wins.
_S3_OPTIONS = {
    "endpoint": ("s3.endpoint",),
    "region": ("s3.region", "client.region"),
    "access_key_id": ("s3.access-key-id", "client.access-key-id"),
    "secret_access_key": ("s3.secret-access-key", "client.secret-access-key"),
    "session_token": ("s3.session-token", "client.session-token"),
}
_STORE_PREFIXES = ("s3.", "client.", "gcs.", "adls.", "lakeflow.")


def store_properties(properties: Mapping[str, Any]) -> dict[str, str]:
    """The properties that concern storage: what a worker needs to read and write, and no more."""
    return {
        name: str(value)
        for name, value in sorted(properties.items())
        if name.startswith(_STORE_PREFIXES) and value is not None
    }


def s3_options(properties: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments for `obstore.store.S3Store`.

    Credentials: those in the properties; else boto3's chain where boto3 is installed (profiles,
    SSO, instance roles), refreshed by boto3; else obstore's own (environment, instance role).
    """
    options: dict[str, Any] = {}
    for option, names in _S3_OPTIONS.items():
        value = next((properties[name] for name in names if properties.get(name)), None)
        if value is not None:
            options[option] = value
    endpoint = urlsplit(str(options.get("endpoint", "http://default")))
    if endpoint.scheme not in ("http", "https") or not endpoint.netloc or " " in endpoint.netloc:
        raise ConfigError(f"s3.endpoint={options['endpoint']!r} is no URL.", "write http://host:port or https://host.")
    client: dict[str, Any] = {
        "timeout": f"{_REQUEST_TIMEOUT_SECONDS}s",
        "connect_timeout": f"{_CONNECT_TIMEOUT_SECONDS}s",
    }
    if options.get("endpoint", "").startswith("http://"):
        client["allow_http"] = True
    options["client_options"] = client
    options["virtual_hosted_style_request"] = properties.get("s3.force-virtual-addressing", "").lower() == "true"
    if properties.get("s3.anonymous", "").lower() == "true":
        options["skip_signature"] = True
    elif "access_key_id" not in options and importlib.util.find_spec("boto3"):
        options.update(_boto3_options(properties))
    options.setdefault("region", "us-east-1")
    return options


def _boto3_options(properties: Mapping[str, str]) -> dict[str, Any]:
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    profile = properties.get("s3.profile-name") or properties.get("client.profile-name")
    session = boto3.Session(profile_name=profile)
    if session.get_credentials() is None:
        return {}
    found: dict[str, Any] = {"credential_provider": Boto3CredentialProvider(session)}
    if session.region_name:
        found["region"] = session.region_name
    return found
