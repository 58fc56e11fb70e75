"""A hash of a function: its source, and the values that it carries along.

Two functions with equal fingerprints do the same; a run goes on only with the function it began
with. What a function reads from its module is not followed: a changed helper is another deployment,
which the run id is there to name.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import pickle
import types
from typing import Any

__all__ = ["fingerprint"]


def fingerprint(function: Any) -> str:
    """A 128-bit hash, in hex, that is the same in every process."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, function)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    """Add what decides how `value` behaves."""
    if isinstance(value, functools.partial):
        for part in (value.func, list(value.args), sorted(value.keywords.items())):
            _feed(digest, part)
    elif inspect.ismethod(value):
        _feed(digest, value.__func__)
        _feed(digest, value.__self__)
    elif inspect.isfunction(value):
        _feed_function(digest, value)
    elif isinstance(value, types.ModuleType):
        digest.update(value.__name__.encode())
    else:
        _feed_value(digest, value)


def _feed_function(digest: Any, function: types.FunctionType) -> None:
    try:
        digest.update(inspect.getsource(function).encode())
    except (OSError, TypeError):
        _feed_code(digest, function.__code__)
    for value in function.__defaults__ or ():
        _feed(digest, value)
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        digest.update(name.encode())
        _feed(digest, value)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        digest.update(name.encode())
        try:
            held = cell.cell_contents
        except ValueError:  # a name that is bound later, such as the function's own
            continue
        if held is not function:
            _feed(digest, held)


def _feed_code(digest: Any, code: types.CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _feed_code(digest, constant)
        else:
            digest.update(repr(constant).encode())


def _feed_value(digest: Any, value: Any) -> None:
    digest.update(f"{type(value).__module__}.{type(value).__qualname__}".encode())
    for encode in (_as_json, _as_pickle):
        try:
            digest.update(encode(value))
        except Exception:  # noqa: BLE001, S112  (what neither takes is known by its type alone)
            continue
        return


def _as_json(value: Any) -> bytes:
    # Sorted, so that equal dicts are equal; pickle would also tell shared strings from equal ones.
    return json.dumps(value, sort_keys=True).encode()


def _as_pickle(value: Any) -> bytes:
    return pickle.dumps(value, protocol=4)
