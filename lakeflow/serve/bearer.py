"""Who may ask: whoever sends the server's token (RFC 6750), where it has one."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from http import HTTPStatus
from pathlib import Path

from lakeflow.serve.answer import RequestError
from lakeflow.serve.routes import Route
from lakeflow_io.errors import ConfigError

__all__ = ["TOKEN_VARIABLE", "WITHOUT_TOKEN", "Bearer", "authorization", "find_token"]

TOKEN_VARIABLE = "LAKEFLOW_SERVE_TOKEN"  # noqa: S105  (a name)
"""The environment variable with the token."""

WITHOUT_TOKEN = frozenset({Route.HEALTH, Route.READY, Route.OPENAPI, Route.PAGE})
"""Probes and browsers carry no token, and what they are answered tells nothing of caches."""

_FEWEST_CHARACTERS = 16
"""A shorter one can be guessed: 16 of base64's are 96 bits."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class Bearer:
    """Compares tokens in constant time.

    Args:
        token: What the server expects.

    Raises:
        ConfigError: it is too short, or has characters that a header can't carry.
    """

    def __init__(self, token: str) -> None:
        if len(token) < _FEWEST_CHARACTERS or not _TOKEN.fullmatch(token):
            message = f"The server's token has {len(token)} characters, or others than letters, digits and '._~+/-='."
            hint = f"use {_FEWEST_CHARACTERS} or more of these, such as the output of 'openssl rand -base64 32'."
            raise ConfigError(message, hint)
        self._digest = _digest(token)

    def check(self, route: Route, authorization: str | None) -> None:
        """Refuse a request without the token, wherever it goes but to the probes and the documentation.

        Raises:
            RequestError: 401.
        """
        scheme, _, token = (authorization or "").partition(" ")
        # Digests are of one length, so the time says nothing of the token's either.
        same = hmac.compare_digest(self._digest, _digest(token.strip()))
        if route not in WITHOUT_TOKEN and not (same and scheme.lower() == "bearer"):
            message = "This needs the server's token: 'authorization: Bearer TOKEN'."
            raise RequestError(HTTPStatus.UNAUTHORIZED, message, {"www-authenticate": "Bearer"})


def authorization(token: str) -> str:
    """Return the header's value that carries a token.

    Raises:
        ConfigError: it has characters that no token has; it isn't shown.
    """
    if not _TOKEN.fullmatch(token):
        message = f"This token has {len(token)} characters, and others than letters, digits and '._~+/-=' among them."
        raise ConfigError(message, "of a file's text, the end of the line is no part: use strip().")
    return f"Bearer {token}"


def find_token(file: str | os.PathLike[str] | None = None) -> str | None:
    """Return the token in a file; without one, that of `$LAKEFLOW_SERVE_TOKEN`, or None.

    Raises:
        ConfigError: the file can't be read, or it is empty.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The token can't be read from {os.fspath(file)}: {error}") from error
    if not token:
        raise ConfigError(f"The file of the token, {os.fspath(file)}, is empty.", "write the token into it.")
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
