"""What one request may bring and take: each input has a bound here, and an answer too."""

from __future__ import annotations

__all__ = [
    "ANSWER_BYTES",
    "BATCH_KEYS",
    "BODY_BYTES",
    "BODY_SECONDS",
    "HEADER_BYTES",
    "JSON_KEY_CHARACTERS",
    "KEY_BYTES",
    "NAME_CHARACTERS",
    "PATH_BYTES",
    "QUERY_BYTES",
]

KEY_BYTES = 4096
"""The longest key that is looked up; servers and proxies commonly refuse request lines of 8 KiB."""
JSON_KEY_CHARACTERS = -(-KEY_BYTES // 3) * 4
"""Of one in a batch of JSON: what the longest binary one has as base64."""
NAME_CHARACTERS = 255
"""Of a cache's name: the longest file name that Linux file systems take."""
PATH_BYTES = 16_384
"""Of a path, as it is sent: name and key with each byte percent-encoded, and room for where it is mounted."""
QUERY_BYTES = 16_384
"""Of what is behind the `?`, as it is sent."""
HEADER_BYTES = 32_768
"""Of all header lines together."""
BATCH_KEYS = 10_000
"""The most keys of one request: as JSON 0.1 to 0.3 s of the server's time for ten columns."""
BODY_BYTES = 1 << 20
"""The largest request body."""
BODY_SECONDS = 30
"""How long a body may take to come; granian gives a request's head as long."""
ANSWER_BYTES = 64 << 20
"""The largest answer: without it, one megabyte of keys could ask for any amount of memory."""
