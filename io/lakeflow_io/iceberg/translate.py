"""Exceptions of the catalog's libraries -> our tree, in one place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakeflow_io.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    CatalogError,
    CommitConflictError,
    ConfigError,
    CorruptFileError,
    InputError,
    InternalError,
    LakeflowError,
    NotFoundError,
    ObjectNotFoundError,
    SchemaError,
    StoreFullError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["translated"]

_FOREIGN_PACKAGES = {"pyiceberg", "pyiceberg_core", "requests", "urllib3", "sqlalchemy", "sqlite3", "botocore", "boto3"}
_NOT_FOUND = {"NoSuchTableError", "NoSuchNamespaceError", "NoSuchIdentifierError", "NoSuchIcebergTableError"}
_EXISTS = {"TableAlreadyExistsError", "NamespaceAlreadyExistsError"}
_CONFLICT = {"CommitFailedException", "ValidationException"}
_DENIED = {
    "UnauthorizedError", "ForbiddenError", "AuthorizationExpiredError", "OAuthError", "SignError",
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoAuthTokenError",
}  # fmt: skip


@contextmanager
def translated(action: str) -> Generator[None]:
    """Run catalog code; whatever it raises leaves as one of ours, with `action` in its message.

    Args:
        action: What was attempted, to follow "Cannot": `open table kg.pairs`.
    """
    try:
        yield
    except LakeflowError:
        raise
    except Exception as error:
        raise _translate(error, action) from error


def _translate(error: Exception, action: str) -> LakeflowError:  # noqa: C901, PLR0912  (a table of one step a line)
    kind = type(error).__name__
    said = f"Cannot {action}: {_first_line(error)}"
    if kind in _NOT_FOUND:
        return NotFoundError(said, "`lakeflow tables` lists what is there.")
    if kind in _EXISTS:
        return AlreadyExistsError(said, "choose another name, or open the one that is there.")
    if kind in _CONFLICT:
        return CommitConflictError(
            said, "another writer committed first; nothing of this commit is visible. Run again."
        )
    if kind in _DENIED:
        return AccessDeniedError(said, "check the credentials in the catalog's properties or the AWS profile.")
    if kind == "NotInstalledError" or isinstance(error, ImportError):
        return ConfigError(said, 'install the extra it names; for AWS and REST with SigV4: pip install "lakeflow[aws]"')
    if "disk is full" in str(error) or "No space left" in str(error):
        return StoreFullError(said, "free space where the catalog lives, then run again.")
    if kind == "UnsupportedPyArrowTypeException":
        return SchemaError(said, "cast the column to a type that Iceberg has.")
    if "file is not a database" in str(error):
        return CorruptFileError(said, "the SQLite catalog is damaged; restore it.")
    if kind == "ValidationError" and "'format_version' | 'format-version' does not match" in str(error):
        # What a REST catalog answers with is checked by pyiceberg alone.
        return UnsupportedError(
            f"{said} (the table is of a format version that isn't read)", "read the table with a newer lakeflow."
        )
    # What decoders of manifests raise.
    broken = isinstance(error, EOFError | SystemError | LookupError | UnicodeDecodeError)
    if broken or kind == "ValidationError" or type(error).__module__ == "zlib":  # pydantic's: metadata.json
        return CorruptFileError(
            f"{said} (a metadata file does not decode)", "restore the file, or roll the table back."
        )
    if type(error).__module__.partition(".")[0] in _FOREIGN_PACKAGES:
        return CatalogError(said, "check the catalog's uri, that it is running, and the network; then retry.")
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(said, "the catalog names a metadata file that the store has lost; restore it.")
    if isinstance(error, OSError):
        return CatalogError(said, "check the store and the network; then retry.")
    if isinstance(error, ValueError | TypeError | NotImplementedError):
        return InputError(said, "see the catalog's properties and the arguments of this call.")
    return InternalError(said, "please report it, with the traceback that --debug shows.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
