"""Credentials that expire while a store is used: where fresh ones come from, and when they are fetched.

What a catalog vends for a table is good for minutes or hours, and a scan or a run may take longer.
So beside the credentials travels a description of where to ask for the next ones, as two or three
more properties among those of the store; a worker on another machine asks by itself:

    lakeflow.credentials.table      the table's identifier, a JSON list of names
    lakeflow.credentials.location   the table's folder: of several credentials, the one for it is taken
    lakeflow.credentials.catalog    the properties of its REST catalog, a JSON object

or, for who has credentials from elsewhere:

    lakeflow.credentials.function   `package.module:function`; takes nothing, returns storage properties

Java's `client.refresh-credentials-enabled=false` turns the first form off. Properties that begin with
`lakeflow.` are the caller's alone: those that a catalog or a table answers with are left out.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from lakeflow_io.errors import CatalogError, ConfigError, LakeflowError, StoreError
from lakeflow_io.storage.named import named_function
from lakeflow_io.storage.properties import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import AzureSASToken, GCSCredential, S3Credential

__all__ = ["CredentialSource", "FreshProperties", "credential_source", "is_credential", "without_credentials"]

TABLE = "lakeflow.credentials.table"
LOCATION = "lakeflow.credentials.location"
CATALOG = "lakeflow.credentials.catalog"
FUNCTION = "lakeflow.credentials.function"

# Properties that a catalog vends, and those that say until when.
_VENDED = ("s3.access-key-id", "s3.secret-access-key", "s3.session-token", "gcs.oauth2.token")
_OPTIONAL = ("s3.session-token",)
_EXPIRIES = ("s3.session-token-expires-at-ms", "gcs.oauth2.token-expires-at")
_AZURE, _AZURE_EXPIRY = "adls.sas-token", "adls.sas-token-expires-at-ms"
# Fetched anew this long before the end, or after three quarters of a shorter life. obstore begins
# to ask for others at the same distance.
_EARLY_SECONDS = 300
_EARLY_PART = 0.25
# For credentials that don't say how long they live: no service of AWS makes shorter ones.
_ASSUMED_SECONDS = 900
# While the old ones are still good, a source that fails isn't asked again at once.
_PAUSE_SECONDS = 10
# When they are over, all requests that wait share one failure, rather than ask one after the other.
_FAILED_SECONDS = 0.5


class CredentialSource(Protocol):
    """Where fresh credentials come from."""

    def __call__(self) -> Mapping[str, str]:
        """Fresh storage properties (`s3.access-key-id`, ..., and until when they are good)."""
        ...


def is_credential(name: str) -> bool:
    """Tell whether a property is one that is vended and expires."""
    return name in _VENDED or name in _EXPIRIES or name.startswith(_AZURE)


def without_credentials(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties that stay the same when the credentials are renewed."""
    return {name: value for name, value in properties.items() if not is_credential(name)}


def credential_source(properties: Mapping[str, str]) -> CredentialSource | None:
    """The source that the properties describe, None where they describe none.

    Raises:
        ConfigError: the description is incomplete, or names a function that isn't there.
    """
    if spelled := properties.get(FUNCTION):
        source: CredentialSource = named_function(FUNCTION, spelled, "fresh storage properties")
        return source
    if TABLE in properties:
        from lakeflow_io.iceberg.vended import VendedCredentials

        return VendedCredentials.described(properties)
    return None


class FreshProperties:
    """The newest properties of a store; the source is asked early enough, and once for all threads.

    Args:
        properties: As they are now.
        source: Where the next ones come from.
        clock: Seconds since 1970; a test's own.
    """

    def __init__(
        self, properties: Mapping[str, str], source: CredentialSource, clock: Callable[[], float] = time.time
    ) -> None:
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._failure: LakeflowError | None = None
        self._rest = without_credentials(properties)
        self._take({name: value for name, value in properties.items() if is_credential(name)})

    def current(self) -> tuple[dict[str, str], datetime]:
        """Properties whose credentials are good now, and until when.

        Raises:
            StoreError: the last ones have expired, and the source can't be reached.
            LakeflowError: or it refuses.
        """
        with self._lock:
            if self._failure is not None and self._clock() < self._ask_at:
                raise self._failure
            if self._clock() >= self._ask_at:
                self._renew()
            return {**self._rest, **self._credentials}, datetime.fromtimestamp(self._ends_at, UTC)

    def _renew(self) -> None:
        try:
            fresh = cleaned({name: value for name, value in self._source().items() if is_credential(name)})
            _check_complete(fresh, self._credentials)
        except LakeflowError as error:
            now = self._clock()
            if now >= self._ends_at:
                self._failure, self._ask_at = _retryable(error), now + _FAILED_SECONDS
                raise self._failure from error
            self._ask_at = min(now + _PAUSE_SECONDS, self._ends_at)
        else:
            self._take(fresh)

    def _take(self, credentials: dict[str, str]) -> None:
        now = self._clock()
        self._failure = None
        self._credentials = credentials
        said = _ends_at(credentials)
        self._ends_at = said if said is not None else now + (_ASSUMED_SECONDS if credentials else 0)
        self._ask_at = self._ends_at - min(_EARLY_SECONDS, _EARLY_PART * max(0, self._ends_at - now))

    def provided(self, scheme: str, options: dict[str, Any], account: str = "") -> dict[str, Any]:
        """A store's options with, in place of its credentials, a call that gives the newest."""
        if scheme == "s3" and "access_key_id" in options:
            return _without(options, "access_key_id", "secret_access_key", "session_token") | {
                "credential_provider": self.s3
            }
        if scheme == "gs" and "bearer_token" in options:
            return _without(options, "bearer_token") | {"credential_provider": self._gcs}
        if scheme == "azure" and "sas_key" in options:
            return _without(options, "sas_key") | {"credential_provider": lambda: self._azure(account)}
        return options

    def s3(self) -> S3Credential:
        """The newest keys for S3, where there are any."""
        from lakeflow_io.storage.s3 import static_keys

        properties, until = self.current()
        keys = static_keys(properties) or {}
        return {
            "access_key_id": keys["access_key_id"],
            "secret_access_key": keys["secret_access_key"],
            "token": keys.get("session_token"),
            "expires_at": until,
        }

    def _gcs(self) -> GCSCredential:
        properties, until = self.current()
        return {"token": properties["gcs.oauth2.token"], "expires_at": until}

    def _azure(self, account: str) -> AzureSASToken:
        from lakeflow_io.storage.azure import sas_token

        properties, until = self.current()
        return {"sas_token": sas_token(properties, account) or "", "expires_at": until}


def _check_complete(fresh: Mapping[str, str], before: Mapping[str, str]) -> None:
    if not fresh:
        raise ConfigError("The source of credentials gave none.", "check what the catalog vends.")
    missing = [name for name in _VENDED if name in before and name not in fresh and name not in _OPTIONAL]
    if missing:
        names = ", ".join(sorted(fresh))
        raise ConfigError(f"The source of credentials gave no {missing[0]}, but {names}.", f"give {missing[0]}.")


def _ends_at(credentials: Mapping[str, str]) -> float | None:
    ends: list[float] = []
    for name, value in credentials.items():
        if name in _EXPIRIES or name.startswith(_AZURE_EXPIRY):
            try:
                ends.append(int(value) / 1000)
            except ValueError:
                raise ConfigError(f"{name}={value!r} is no time.", "give milliseconds since 1970.") from None
    return min(ends, default=None)


def _retryable(error: LakeflowError) -> LakeflowError:
    # Who reads retries a plain StoreError, and a catalog may answer the next time.
    return StoreError(error.message, error.hint) if isinstance(error, CatalogError) else error


def _without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
