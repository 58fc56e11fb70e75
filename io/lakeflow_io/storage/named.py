"""`package.module:function` in a property -> the function, whose exceptions are ours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError, LakeflowError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["named_function"]


def named_function(name: str, spelled: str, returns: str) -> Callable[[], Any]:
    """The function that a property names.

    Args:
        name: The property's.
        spelled: Its value.
        returns: What the function has to return, for a hint.

    Returns:
        The function; what it raises is a StoreError, since it may work the next time, and shows no secret.

    Raises:
        ConfigError: there is no such function.
    """
    module, _, function = spelled.partition(":")
    try:
        found: Any = getattr(import_module(module), function)
    except LakeflowError:
        raise
    except Exception as error:
        said = f"{name}={spelled!r} can't be imported: {error}."
        raise ConfigError(said, "write package.module:function.") from error

    def call() -> Any:
        try:
            return found()
        except LakeflowError:
            raise
        except Exception as error:
            raise StoreError(f"{spelled} raised {type(error).__name__}.", f"it has to return {returns}.") from error

    return call
