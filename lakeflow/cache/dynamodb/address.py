"""`dynamodb://TABLE[?region=..&endpoint=..&max_age=..]`: where a table is, and how old a reader's pointer may be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from lakeflow_io.errors import ConfigError

__all__ = ["Address"]

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")  # DynamoDB's naming rules
_OPTIONS = {"region", "endpoint", "max_age"}
_EXAMPLE = (
    "give dynamodb://TABLE, with ?region=.., &endpoint=http://HOST:PORT or &max_age=SECONDS where they are needed."
)


@dataclass(frozen=True, slots=True)
class Address:
    """A table, as its URL names it."""

    table: str
    region: str | None
    """None: what boto3 finds in the environment and AWS's files."""
    endpoint: str | None
    """None: AWS's own."""
    max_age_seconds: float
    """For how long a reader goes on with the pointer it has read; 0: it is read in every request."""

    @property
    def shown(self) -> str:
        """The table without the rest, for messages."""
        return f"dynamodb://{self.table}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Check a URL.

        Raises:
            ConfigError: it can't be used.
        """
        shown = str(url).partition("?")[0].rpartition("@")[2]  # what precedes it may be a password
        refused = ConfigError(f"{shown!r} isn't the URL of a DynamoDB table.", _EXAMPLE)
        try:
            parts = urlsplit(url)
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except (ValueError, AttributeError, TypeError):
            raise refused from None
        options = dict(pairs)
        plain = isinstance(url, str) and parts.scheme == "dynamodb" and parts.path in ("", "/") and not parts.fragment
        if not plain or not _TABLE.fullmatch(parts.netloc) or len(options) < len(pairs):
            raise refused
        if unknown := sorted(options.keys() - _OPTIONS):
            raise ConfigError(f"{shown!r} has the option {unknown[0]!r}, and there is no such one.", _EXAMPLE)
        return cls(
            parts.netloc, options.get("region"), _endpoint(options.get("endpoint")), _seconds(options.get("max_age"))
        )


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        usable = usable and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        shown = text.rpartition("@")[2]
        raise ConfigError(f"endpoint={shown!r} isn't the address of a server.", "give http://HOST:PORT.")
    return text


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"max_age={text!r} is no number of seconds.", "give one, such as 1 or 0.5.")
    return seconds
