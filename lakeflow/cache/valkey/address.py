"""Where a server is: a URL, taken apart and checked; its password stays out of all messages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["Address"]

_PLAIN = frozenset({"valkey", "redis"})
_TLS = frozenset({"valkeys", "rediss"})
_UNIX = frozenset({"valkey+unix", "redis+unix", "unix"})  # `unix` is how the Python clients spell it
_TLS_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})  # as the Python clients spell them, too
_HINT = "give valkey://HOST:PORT or valkey://HOST:PORT/DB; valkeys:// for TLS; valkey+unix:///PATH?db=0 for a socket."
_PORT = 6379


@dataclass(frozen=True, slots=True)
class Address:
    """One server; `at` makes another of the same cluster."""

    host: str = ""
    port: int = 0
    path: str = ""
    """Of a unix socket; then there are no host and no port."""
    database: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    tls: bool = False
    tls_files: tuple[tuple[str, str], ...] = ()
    """Files of certificates, by the names of URLs."""
    scheme: str = "valkey"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Check a URL.

        Args:
            url: `valkey://[[user]:password@]host[:port][/db]`; also redis; valkeys and rediss for TLS, with
                `?ssl_ca_certs=FILE` and, for a client's certificate, `ssl_certfile` and `ssl_keyfile`; or
                `valkey+unix://[[user]:password@]/path[?db=0]`, also redis+unix and unix.

        Raises:
            ConfigError: it can't be used.
        """
        shown = str(url).rpartition("@")[2]  # what precedes it may be a password
        try:
            address = _parsed(urlsplit(url))
        except (ValueError, AttributeError, TypeError):
            address = None
        if address is None:
            raise ConfigError(f"{shown!r} isn't the URL of a Valkey or Redis server.", _HINT)
        return address

    @property
    def shown(self) -> str:
        """How messages name it."""
        if self.path:
            return f"{self.scheme}://{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/{self.database}"

    def at(self, host: str, port: int) -> Address:
        """Return the address of another node, which takes the same user and certificates."""
        return replace(self, host=host or self.host, port=port, path="")


def _parsed(parts: SplitResult) -> Address | None:
    asked = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    unix, tls = parts.scheme in _UNIX, parts.scheme in _TLS
    path, database = unquote(parts.path), parts.path.removeprefix("/") or "0"
    if unix:
        database = asked.pop("db", "0")
    allowed = _TLS_FILES if tls else frozenset[str]()
    known = unix or tls or parts.scheme in _PLAIN
    if not known or not database.isdecimal() or parts.fragment or not allowed.issuperset(asked):
        return None
    if unix and (parts.hostname or parts.port or path in ("", "/")):
        return None
    if not unix and not parts.hostname:
        return None
    return Address(
        host=parts.hostname or "",
        port=0 if unix else parts.port or _PORT,
        path=path if unix else "",
        database=int(database),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
        tls_files=tuple(sorted(asked.items())),
        scheme=parts.scheme,
    )
