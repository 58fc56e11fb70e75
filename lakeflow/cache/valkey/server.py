"""Connects to a Valkey or Redis server, and turns what its client raises into lakeflow's own errors."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakeflow_io.errors import AccessDeniedError, ConfigError, StoreError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Server"]

_SCHEMES = {"valkey": "valkey", "valkeys": "valkeys", "redis": "valkey", "rediss": "valkeys"}
_EXAMPLE = "give valkey://HOST:PORT, or valkey://HOST:PORT/DB; valkeys:// for TLS."
_PORT = 6379
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30  # a loaded server takes its time over a thousand rows; a dead one is noticed


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is spoken to; safe for threads."""

    client: Any
    """`valkey.Valkey`, which connects when it is first used and answers in bytes."""
    shown: str
    """Its address without credentials, for messages."""

    @classmethod
    def at(cls, url: str) -> Server:
        """Check a URL.

        Args:
            url: `valkey://[[user]:password@]host[:port][/db]`; also valkeys, redis and rediss.

        Raises:
            ConfigError: the URL can't be used, or the client isn't installed.
        """
        try:
            import valkey
        except ImportError as error:
            raise ConfigError.missing_extra("the Valkey client", "valkey", "A cache in Valkey") from error
        checked, shown = _checked(url)
        client = valkey.Valkey.from_url(
            checked, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_ANSWER_SECONDS
        )
        return cls(client, shown)

    @contextmanager
    def talking(self) -> Generator[None]:
        """Explain a failure of the client or the server.

        Raises:
            AccessDeniedError: the password is wrong or missing, or the user lacks a right.
            StoreFullError: the server's memory is full.
            StoreError: it can't be reached, or refuses.
        """
        from valkey import exceptions

        try:
            yield
        except (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError) as error:
            raise AccessDeniedError(f"{self.shown} denies access: {error}", "check the user and password.") from error
        except exceptions.OutOfMemoryError as error:
            message = f"No memory left in {self.shown}: {error}"
            raise StoreFullError(message, "raise its maxmemory, or remove other data.") from error
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            raise StoreError(f"Can't reach {self.shown}: {error}", "check the address, and that it runs.") from error
        except exceptions.MovedError as error:
            message = f"{self.shown} is a node of a cluster, and this cache lies on {error.host}:{error.port}."
            raise StoreError(message, "give that node's address.") from error
        except (exceptions.ValkeyError, OSError) as error:
            raise StoreError(f"{self.shown} refuses: {error}") from error


def _checked(url: str) -> tuple[str, str]:
    """Return a URL as the client takes it, and as messages may show it."""
    shown = str(url).rpartition("@")[2]  # what precedes it may be a password
    refused = ConfigError(f"{shown!r} isn't the URL of a Valkey or Redis server.", _EXAMPLE)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except (ValueError, AttributeError):
        raise refused from None
    database = parts.path.removeprefix("/") or "0"
    usable = isinstance(url, str) and parts.scheme in _SCHEMES and host and database.isdecimal()
    if not usable or parts.query or parts.fragment:
        raise refused
    address = f"[{host}]" if ":" in str(host) else host
    return parts._replace(scheme=_SCHEMES[parts.scheme]).geturl(), f"{parts.scheme}://{address}:{port}/{database}"
