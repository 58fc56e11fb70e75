"""Where an error happened: which bytes or row group, of which file, of which snapshot."""

from __future__ import annotations

from lakeflow_io.errors import InternalError, LakeflowError

__all__ = ["located"]

_WHERE = "\nWhere: "


def located(error: BaseException, where: str) -> LakeflowError:
    """A copy of an error of ours whose message also says where; of any other, an InternalError that does.

    A copy, since several requests may have failed with one and the same object. Its arguments say the
    same as its message: they are what travels to another process. It has no traceback yet, and its cause
    has none any more: their frames hold what was being read, for as long as somebody keeps the error. An
    exception that isn't ours keeps its own, for whoever has to find the mistake.

    Args:
        error: What was raised.
        where: The place; calls further out add theirs behind it.
    """
    if isinstance(error, LakeflowError):
        made, said = _copied(error), error.message
        cause = error.__cause__
        if cause is not None and not isinstance(error, InternalError):
            cause = cause.with_traceback(None)
    else:
        made, cause = InternalError("", "please report this, with the file if you may."), error
        said = f"An unexpected {type(error).__name__} while reading: {error}"
    made.message = f"{said}, {where}" if _WHERE in said else f"{said}{_WHERE}{where}"
    made.args = (made.message, made.hint)
    made.__cause__ = cause
    return made.with_traceback(None)


def _copied(error: LakeflowError) -> LakeflowError:
    # Not the module copy: Dask registers reducers of its own for exceptions, whose copies share one set of
    # attributes with the original, and bring its traceback along.
    made = type(error).__new__(type(error))
    made.__dict__.update(error.__dict__)
    return made
