"""Python values as JSON: the one set of rules for what the command line prints and the server answers.

| value | in JSON |
|---|---|
| date, time, timestamp | ISO 8601 text |
| bytes | base64 text |
| decimal, UUID, duration | text |
| a float that isn't finite | `"NaN"`, `"Infinity"`, `"-Infinity"`, as Protocol Buffers' JSON has them |
| an entry of a map | a list of its key and its value |

Integers keep all their digits; a reader that has only doubles, such as JavaScript, rounds those past 2**53.

orjson writes what it can where it is installed, a row of floats several times as fast as json.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

try:
    import orjson
except ImportError:  # it comes with the server
    orjson = None  # type: ignore[assignment]

__all__ = ["to_json"]


def to_json(value: Any) -> str:
    """Return one line of JSON, without spaces.

    Args:
        value: A row, or lists and dicts of rows.

    Raises:
        TypeError: a value has no JSON form.
    """
    quick = _quickly(value)
    if quick is not None:
        return quick
    try:
        return _dumps(value)
    except ValueError:
        return _dumps(_finite(value))


def _quickly(value: Any) -> str | None:
    """The same by orjson; None where that isn't there, has no form for a value, or may have another one."""
    if orjson is None:
        return None
    try:
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:  # as for an integer past 64 bits
        return None
    return None if b"null" in text else text.decode()  # which a float that isn't finite would be, too


def _dumps(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _finite(value: Any) -> Any:
    """Put names in the place of floats that JSON lacks."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
