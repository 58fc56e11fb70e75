"""Catalog properties that concern storage, and how their values are read.

The names are pyiceberg's (https://py.iceberg.apache.org/configuration/), so that one set of
properties serves the catalog, this package and every other Iceberg client. `s3.py`, `gcs.py` and
`azure.py` say which ones each cloud knows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cleaned", "client_options", "first", "flag", "seconds", "store_properties", "url"]

# Whole-request limit. obstore's own 30 s cuts large ranges on slow links; 5 min lets 8 MiB through at 30 kB/s.
_REQUEST_TIMEOUT_SECONDS = 300
_CONNECT_TIMEOUT_SECONDS = 10
_STORE_PREFIXES = ("s3.", "client.", "gcs.", "adls.", "lakeflow.")
# Parts of names of properties whose values travel in headers, where HTTP has no other characters than ASCII's.
_IN_HEADERS = ("access-key", "session-token", ".token", "account-key", ".region")
_TRUE, _FALSE = ("true", "1", "yes", "y", "on", "t"), ("false", "0", "no", "n", "off", "f")


def store_properties(properties: Mapping[str, Any]) -> dict[str, str]:
    """The properties that concern storage: what a worker needs to read and write, and no more.

    Raises:
        ConfigError: a value can't be sent.
    """
    ours = {name: value for name, value in sorted(properties.items()) if name.startswith(_STORE_PREFIXES)}
    return cleaned({name: value for name, value in ours.items() if value is not None})


def cleaned(properties: Mapping[str, Any]) -> dict[str, str]:
    """Values as text, without the white space around them that comes with copies and secret files.

    Raises:
        ConfigError: a credential or region has a character that no header can carry.
    """
    texts = {name: str(value).strip() for name, value in properties.items()}
    for name, text in texts.items():
        if any(part in name for part in _IN_HEADERS) and not (text.isascii() and text.isprintable()):
            raise ConfigError(
                f"{name} has a character that none has.", "copy it again, without line breaks and quotes."
            )
    return texts


def first(properties: Mapping[str, str], *names: str) -> str | None:
    """The value of the first of `names` that is set to more than nothing."""
    return next((properties[name] for name in names if properties.get(name)), None)


def flag(properties: Mapping[str, str], name: str) -> bool:
    """A property that is on or off, off where it is absent.

    Raises:
        ConfigError: it is neither.
    """
    value = str(properties.get(name) or "false").lower()
    if value not in (*_TRUE, *_FALSE):
        raise ConfigError(f"{name}={properties[name]!r} is neither true nor false.", f"set {name} to true or false.")
    return value in _TRUE


def seconds(properties: Mapping[str, str], name: str) -> float | None:
    """A duration in seconds, None where it is absent.

    Raises:
        ConfigError: it is no positive number.
    """
    if not properties.get(name):
        return None
    try:
        value = float(properties[name])
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigError(f"{name}={properties[name]!r} is no number of seconds.", f"set {name} to something like 30.")
    return value


def url(properties: Mapping[str, str], name: str, *, password: bool = False) -> str | None:
    """An http or https address without a slash at its end, None where it is absent.

    Args:
        properties: Storage properties.
        name: Of the one that is an address.
        password: Whether a user and a password may stand in it.

    Raises:
        ConfigError: it is no such address, or carries what every message about it would repeat.
    """
    value = properties.get(name)
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or " " in parts.netloc:
        shown = value.rpartition("@")[2].partition("?")[0]
        raise ConfigError(f"{name}={shown!r} is no URL.", "write http://host:port or https://host.")
    if ("@" in parts.netloc and not password) or parts.query:
        what = "a query" if parts.query else "a name or a password"
        raise ConfigError(f"{name} carries {what}.", "write the address alone, and credentials into their properties.")
    return value.rstrip("/")


def client_options(properties: Mapping[str, str], endpoint: str | None) -> dict[str, Any]:
    """What obstore's HTTP client is to be told: time limits, a proxy, and whether `endpoint` needs no TLS."""
    read = seconds(properties, "s3.request-timeout")
    options: dict[str, Any] = {
        "timeout": _duration(max(_REQUEST_TIMEOUT_SECONDS, read or 0)),
        "connect_timeout": _duration(seconds(properties, "s3.connect-timeout") or _CONNECT_TIMEOUT_SECONDS),
    }
    if read is not None:
        options["read_timeout"] = _duration(read)
    if proxy := url(properties, "s3.proxy-uri", password=True):
        options["proxy_url"] = proxy
    if endpoint is not None and endpoint.startswith("http://"):
        options["allow_http"] = True
    return options


def _duration(value: float) -> str:
    return f"{math.ceil(value * 1000)}ms"
