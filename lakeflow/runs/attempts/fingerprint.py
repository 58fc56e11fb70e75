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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fingerprint"]

# Types of these have state that pickle knows and `__dict__` doesn't show.
_PICKLED = ("logging", "numpy", "pandas", "pyarrow.lib")


def fingerprint(function: Any) -> str:
    """A 128-bit hash, in hex, that is the same in every process."""
    return _hashed(function, ()).hex()


def _hashed(value: Any, path: tuple[int, ...]) -> bytes:
    """A hash of one value; of fixed length, so that nesting can't be mistaken for sequence.

    Args:
        value: Anything.
        path: Ids of what holds it: functions and instances may hold each other.
    """
    digest = hashlib.blake2b(type(value).__qualname__.encode(), digest_size=16)
    if id(value) not in path:
        for part in _parts(value, (*path, id(value))):
            digest.update(hashlib.blake2b(part, digest_size=16).digest())
    return digest.digest()


def _parts(value: Any, path: tuple[int, ...]) -> Iterator[bytes]:  # noqa: C901  (one branch a kind of value)
    """What decides how `value` behaves."""
    if isinstance(value, bool | int | float | str | bytes | None):
        yield repr(value).encode()
    elif isinstance(value, functools.partial):
        for part in (value.func, value.args, value.keywords):
            yield _hashed(part, path)
    elif inspect.ismethod(value):
        yield _hashed(value.__func__, path)
        yield _hashed(value.__self__, path)
    elif inspect.isfunction(value):
        yield from _function_parts(value, path)
    elif isinstance(value, types.ModuleType):
        yield value.__name__.encode()
    elif isinstance(value, dict):
        yield from sorted(_hashed(key, path) + _hashed(held, path) for key, held in value.items())
    elif isinstance(value, list | tuple):
        for each in value:
            yield _hashed(each, path)
    elif isinstance(value, set | frozenset):
        # By their elements' hashes: the order of a set is another one in each process.
        yield from sorted(_hashed(each, path) for each in value)
    elif type(value).__module__ not in _PICKLED and getattr(value, "__dict__", None):
        yield type(value).__module__.encode()
        yield _hashed(value.__dict__, path)
    else:
        # What can't be pickled either, a lock say, is known by its type alone.
        with suppress(Exception):
            yield pickle.dumps(value, protocol=4)


def _function_parts(function: types.FunctionType, path: tuple[int, ...]) -> Iterator[bytes]:
    try:
        yield inspect.getsource(function).encode()
    except (OSError, TypeError):
        yield from _code_parts(function.__code__)
    yield _hashed(function.__defaults__, path)
    yield _hashed(function.__kwdefaults__, path)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name.encode()
        with suppress(ValueError):  # a name that is bound later, such as the function's own
            yield _hashed(cell.cell_contents, path)


def _code_parts(code: types.CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_parts(constant)
        else:
            yield repr(constant).encode()
