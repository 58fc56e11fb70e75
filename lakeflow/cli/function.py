"""`MODULE:FUNCTION` -> the function."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from lakeflow_io.errors import FunctionError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["find_function", "look_here"]


def find_function(name: str, *, remote: bool = False) -> Callable[..., Any]:
    """Import a function, also from the current folder.

    Args:
        name: `module:function`, or `package.module:Class.method`.
        remote: It is going to run on other machines: a module of the current folder travels along,
            by value, since it isn't installed there.

    Raises:
        InputError: there is no such module or function, or it is none.
        FunctionError: its module can't be imported.
    """
    module_name, colon, qualified = name.partition(":")
    if not colon or not module_name or not qualified:
        raise InputError(f"{name!r} names no function.", "write MODULE:FUNCTION, such as jobs.match:score.")
    module = _module(module_name)
    found: Any = module
    for part in qualified.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise InputError(f"Module {module_name} ({module.__file__}) has no {qualified!r}.", _known(module))
    if not callable(found):
        raise InputError(f"{name} is a {type(found).__name__} and can't be called.", _known(module))
    if remote and _is_here(module):
        cloudpickle.register_pickle_by_value(module)
    return found


def look_here() -> None:
    """Let modules of the current folder be imported."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _module(name: str) -> ModuleType:
    look_here()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise InputError(
                f"There is no module {name!r} in {Path.cwd()} or installed.", "go to its folder, or set PYTHONPATH."
            ) from None
        raise FunctionError(f"Module {name} can't be imported: {error}.", "install what it needs.") from error
    except Exception as error:
        raise FunctionError(
            f"Module {name} can't be imported: {type(error).__name__}: {error}.", f"see: python -c 'import {name}'"
        ) from error


def _is_here(module: ModuleType) -> bool:
    """Whether a module's file lies below the current folder, and was not installed there."""
    file = Path(module.__file__ or "/").resolve()
    return file.is_relative_to(Path.cwd().resolve()) and "site-packages" not in file.parts


def _known(module: ModuleType) -> str:
    names = [
        each
        for each, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and not each.startswith("_")
    ]
    return f"it has: {', '.join(sorted(names)[:10])}." if names else "it has no functions of its own."
