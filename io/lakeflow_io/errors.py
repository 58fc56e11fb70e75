"""The exception tree: everything lakeflow raises on purpose.

    LakeflowError
     +- InputError                  the caller's: change the call
     |   +- ConfigError               a catalog, property or extra that is missing or contradictory
     |   +- NotFoundError             a namespace, table, column, snapshot, cache or version that isn't there
     |   +- AlreadyExistsError        a name that is taken
     |   +- FilterError               a `where` that doesn't parse or doesn't fit the schema
     |   +- SchemaError               data whose columns or types don't fit the table
     |   +- FunctionError             the caller's function raised, or returned what can't be used
     |   +- PlanChangedError          a run id that was used before, with another plan or other code
     |   +- DuplicateKeyError         two rows with one key, of a cache or a join
     +- DataError                   the data's: it can't be read as what it claims to be, or isn't what it has to be
     |   +- CorruptFileError          truncated, changed in size, or not decodable
     |   +- UnsupportedError          a feature of the format that lakeflow doesn't read or write yet
     |   +- CheckFailedError          data that a check of the caller's keeps from being published
     +- StoreError                  the store's or the catalog's: storage, network, permission
     |   +- ObjectNotFoundError       a file that metadata names and the store doesn't have
     |   +- AccessDeniedError         credentials missing, refused or without the right
     |   +- ThrottledError            the store asked for fewer requests; later it will answer
     |   +- StoreFullError            no space left
     |   +- CatalogError              the catalog refused or can't be reached
     |   +- CommitConflictError       another writer won; nothing of this commit is visible
     +- RunError                    the run's: shards that failed or a cluster that went away
     |   +- OutOfMemoryError          a shard needed more memory than its worker has
     |   +- RunInterruptedError       Ctrl-C: what ran has ended, and the run can be resumed
     |   +- TaskTimeoutError          a shard took longer than its deadline
     |   +- WorkerLostError           a worker process died while it ran a shard
     |   +- RunAbandonedError         a run that was given up, whose files may be gone
     +- InternalError               ours: please report it

A caller who wants one clause writes `except lakeflow.LakeflowError`. A caller who retries writes
`except lakeflow.StoreError`; everything else fails the same way the next time.

Every message says what happened, where, and what to do (`Hint: ...`).
"""

from __future__ import annotations

import re

__all__ = [
    "AccessDeniedError",
    "AlreadyExistsError",
    "CatalogError",
    "CheckFailedError",
    "CommitConflictError",
    "ConfigError",
    "CorruptFileError",
    "DataError",
    "DuplicateKeyError",
    "FilterError",
    "FunctionError",
    "InputError",
    "InternalError",
    "LakeflowError",
    "NotFoundError",
    "ObjectNotFoundError",
    "OutOfMemoryError",
    "PlanChangedError",
    "RunAbandonedError",
    "RunError",
    "RunInterruptedError",
    "SchemaError",
    "StoreError",
    "StoreFullError",
    "TaskTimeoutError",
    "ThrottledError",
    "UnsupportedError",
    "WorkerLostError",
]


# The query of a web address may be a signature that opens it to whoever reads the message.
_QUERY = re.compile(r"""(https?://[^\s?'"]+)\?[^\s'"<>)]*?(?=[:.,;]*(?:[\s'"<>)]|$))""")


class LakeflowError(Exception):
    """The root of everything lakeflow raises on purpose.

    Queries of web addresses are cut out of its message.

    Args:
        message: What happened and where, with the value seen.
        hint: What to do about it, one sentence.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        message = _QUERY.sub(r"\1?***", message)
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message


class InputError(LakeflowError):
    """The call is wrong: change it."""


class ConfigError(InputError):
    """A catalog, a property or an optional package is missing or contradictory."""

    @classmethod
    def missing_extra(cls, package: str, extra: str, purpose: str) -> ConfigError:
        """Name the extra that installs `package`, which `purpose` needs."""
        return cls(f"{purpose} needs {package}, which is not installed.", f'pip install "lakeflow[{extra}]"')


class NotFoundError(InputError):
    """A namespace, table, column, snapshot, cache or version that isn't there."""

    @classmethod
    def among(cls, kind: str, name: object, where: str, known: list[str]) -> NotFoundError:
        """Say that `name` isn't among `known`, and name the closest ones."""
        from difflib import get_close_matches

        close = get_close_matches(str(name), known, n=3)
        if close:
            hint = "did you mean " + " or ".join(close) + "?"
        elif known:
            more = ", ..." if len(known) > 10 else ""  # noqa: PLR2004  (ten names fit on a line)
            hint = "there are: " + ", ".join(known[:10]) + more
        else:
            hint = "there are none yet."
        return cls(f"No {kind} {str(name)!r} in {where}.", hint)


class AlreadyExistsError(InputError):
    """A name that is taken."""


class FilterError(InputError):
    """A `where` that doesn't parse or doesn't fit the schema."""


class SchemaError(InputError):
    """Data whose columns or types don't fit the table."""


class FunctionError(InputError):
    """The caller's function raised, or returned what can't be used.

    The function's own traceback is in `traceback_text`: its exception may be of a type that the
    driver doesn't have.
    """

    traceback_text: str = ""


class PlanChangedError(InputError):
    """A run id that was used before, with another plan or other code."""


class DuplicateKeyError(InputError):
    """Two rows with one key, of a cache or of a join with a table."""


class DataError(LakeflowError):
    """A file that can't be read as what it claims to be, or data that isn't what it has to be."""


class CorruptFileError(DataError):
    """A file that is truncated, changed in size, or not decodable."""


class UnsupportedError(DataError):
    """A feature of the format that lakeflow doesn't read or write yet."""


class CheckFailedError(DataError):
    """Data that a check of the caller's keeps from being published."""


class StoreError(LakeflowError):
    """Storage, network or permission: a retry may help."""


class ObjectNotFoundError(StoreError):
    """A file that metadata names and the store doesn't have."""


class AccessDeniedError(StoreError):
    """Credentials are missing, refused, or lack the right."""


class ThrottledError(StoreError):
    """The store asked for fewer requests (503, 429, SlowDown): wait, send fewer, and try again."""


class StoreFullError(StoreError):
    """No space left where data was to be written."""


class CatalogError(StoreError):
    """The catalog refused or can't be reached."""


class CommitConflictError(StoreError):
    """Another writer won; nothing of this commit is visible."""


class RunError(LakeflowError):
    """Shards of a run failed, or its cluster went away."""


class OutOfMemoryError(RunError):
    """A shard needed more memory than its worker has."""


class RunInterruptedError(RunError):
    """Somebody pressed Ctrl-C: what ran has ended, the rest hasn't begun."""


class TaskTimeoutError(RunError):
    """A shard took longer than its deadline."""


class WorkerLostError(RunError):
    """A worker process died while it ran a shard."""


class RunAbandonedError(RunError):
    """The run was given up, by `Lake.collect_runs` or `Cache.gc`: it can't publish any more; its files may be gone."""


class InternalError(LakeflowError):
    """A mistake in lakeflow itself; please report it."""
