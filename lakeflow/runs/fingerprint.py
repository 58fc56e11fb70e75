"""A hash of a function: its source, and the values that it carries along.

Two functions with equal fingerprints do the same; a run goes on only with the function it began
with. What a function reads from its module is not followed: a changed helper is another deployment,
which the run id is there to name.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import types
from contextlib import suppress
from typing import Any

__all__ = ["fingerprint"]

# Types of these have state that pickle knows and `__dict__` doesn't show.
_PICKLED = ("numpy", "pyarrow.lib", "pandas")


def fingerprint(function: Any) -> str:
    """A 128-bit hash, in hex, that is the same in every process."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, function)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:  # noqa: C901  (one branch a kind of value)
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
    elif isinstance(value, dict):
        digest.update(b"dict")
        for each in sorted(_hashed([key, held]) for key, held in value.items()):
            digest.update(each)
    elif isinstance(value, list | tuple):
        digest.update(type(value).__name__.encode())
        for each in value:
            _feed(digest, each)
    elif isinstance(value, set | frozenset):
        # By their elements' hashes: the order of a set is another one in each process.
        digest.update(b"set" + b"".join(sorted(_hashed(each) for each in value)))
    else:
        _feed_value(digest, value)


def _hashed(value: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.digest()


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
    if isinstance(value, bool | int | float | str | bytes | None):
        digest.update(repr(value).encode())
        return
    if type(value).__module__ not in _PICKLED and getattr(value, "__dict__", None):
        _feed(digest, value.__dict__)
        return
    # What can't be pickled either, a lock say, is known by its type alone.
    with suppress(Exception):
        digest.update(pickle.dumps(value, protocol=4))
