"""One connection to a server: RESP2 over TCP, TLS or a unix socket, blocking, any number of commands at once.

Why not a client library: look-ups and pushes here are few commands with many arguments, whose bytes are made
by the thousand in Arrow and numpy. A library would take each argument apart again in Python, which is
most of the time of such a push, and of a look-up of many keys.

The protocol: https://valkey.io/topics/protocol/
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lakeflow.cache.valkey.refusals import Refusal, error_of, out_of_reach
from lakeflow_io.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow.cache.valkey.address import Address

__all__ = ["ANSWER_SECONDS", "Connection", "encoded"]

ANSWER_SECONDS = 30
"""A loaded server takes its time over a thousand rows; a dead one is noticed."""

_CONNECT_SECONDS = 5
_BUFFER_BYTES = 1 << 18

Part = bytes | str | int


class Connection:
    """A connection, authenticated, on the database of its address.

    Raises:
        AccessDeniedError: the password is wrong or missing.
        ConfigError: a certificate's file can't be used, or there is no such database.
        StoreError: the server can't be reached.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.socket = _connected(address)
        """For who reads and writes by themselves; nothing of an answer is left in between."""
        self._replies = self.socket.makefile("rb", _BUFFER_BYTES)
        try:
            self._introduce()
        except BaseException:
            self.close()
            raise

    def ask(self, *commands: Sequence[Part]) -> list[Any]:
        """Send commands at once and return their answers: bytes, integers, None, lists, or a `Refusal` in its place.

        Raises:
            StoreError: the server can't be reached; whether it has run the commands isn't known.
        """
        return self.exchange(b"".join(encoded(command) for command in commands), len(commands))

    def exchange(self, request: bytes, answers: int) -> list[Any]:
        """As `ask`, with commands that are encoded already."""
        try:
            self.socket.sendall(request)
            return [self._reply() for _ in range(answers)]
        except (OSError, EOFError, ValueError) as error:
            raise out_of_reach(self.address.shown, error) from error

    def one(self, *command: Part) -> Any:
        """Run one command.

        Raises:
            LakeflowError: the server refuses; or as `ask`.
        """
        answer = self.ask(command)[0]
        if isinstance(answer, Refusal):
            raise error_of(answer, self.address.shown)
        return answer

    def close(self) -> None:
        """Close it; twice is no error."""
        with suppress(OSError):
            self._replies.close()
            self.socket.close()

    def _introduce(self) -> None:
        address = self.address
        if address.password or address.user:
            self.one("AUTH", *([address.user] if address.user else []), address.password)
        if address.database:
            answer = self.ask(("SELECT", address.database))[0]
            if isinstance(answer, Refusal):
                raise error_of(answer, address.shown)

    def _reply(self) -> Any:
        return self._answer(self._replies.readline())

    def _answer(self, line: bytes) -> Any:
        """Return the answer that begins with a line."""
        if not line.endswith(b"\r\n"):
            raise EOFError("it closed the connection.")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else self._array(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if kind == b"-":
            return Refusal.of(rest)
        raise ValueError(f"it answers {line[:40]!r}, which isn't RESP.")

    def _array(self, count: int) -> list[Any]:
        """Read many answers; those with a length here, without a call for each: a thousand of them come at once."""
        readline, read = self._replies.readline, self._replies.read
        answers: list[Any] = []
        for _ in range(count):
            line = readline()
            size = int(line[1:]) if line[:1] == b"$" else -1
            if size < 0:
                answers.append(self._answer(line))
                continue
            data = read(size + 2)
            if len(data) != size + 2:
                raise EOFError("it closed the connection.")
            answers.append(data[:-2])
        return answers

    def _bulk(self, size: int) -> bytes | None:
        if size < 0:
            return None
        data = self._replies.read(size + 2)
        if len(data) != size + 2:
            raise EOFError("it closed the connection.")
        return data[:-2]


def encoded(command: Sequence[Part]) -> bytes:
    """Return a command as RESP has it: an array of strings, each behind its length."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n%b" % (len(parts), b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))


def _connected(address: Address) -> socket.socket:
    context = _context(address) if address.tls else None
    plain: socket.socket | None = None
    try:
        if address.path:
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(_CONNECT_SECONDS)
            plain.connect(address.path)
        else:
            plain = socket.create_connection((address.host, address.port), _CONNECT_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected = context.wrap_socket(plain, server_hostname=address.host) if context else plain
    except (OSError, ValueError) as error:
        if plain is not None:
            plain.close()
        raise out_of_reach(address.shown, error) from error
    connected.settimeout(ANSWER_SECONDS)
    return connected


def _context(address: Address) -> ssl.SSLContext:
    files = dict(address.tls_files)
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        if "ssl_certfile" in files:
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
    except OSError as error:  # also what ssl raises
        message = f"The certificates for {address.shown} can't be used: {error}"
        raise ConfigError(message, f"check {', '.join(files) or 'the system certificates'}.") from error
    return context
