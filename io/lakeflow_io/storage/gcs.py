"""Properties -> a Google Cloud Storage store.

    gcs.oauth2.token, gcs.oauth2.token-expires-at   (milliseconds since 1970)
    gcs.service-account-key                         the key file's JSON text, as obstore takes it
    gcs.application-credentials                     the key file's path
    gcs.no-auth                                     no credentials at all
    gcs.service.host                                another endpoint, such as an emulator's

With none of them: Google's application default credentials (environment, gcloud, instance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.properties import client_options, flag, url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import GCSCredential

__all__ = ["gcs_options"]

_CREDENTIALS = {
    "gcs.oauth2.token": "bearer_token",
    "gcs.service-account-key": "service_account_key",
    "gcs.application-credentials": "application_credentials",
}


def gcs_options(properties: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments for `obstore.store.GCSStore`.

    Raises:
        ConfigError: a property's value is none it can have, or contradicts another's.
    """
    endpoint = url(properties, "gcs.service.host")
    options: dict[str, Any] = {"client_options": client_options(properties, endpoint)}
    if endpoint is not None:
        options["base_url"] = endpoint
    given = [name for name in _CREDENTIALS if properties.get(name)]
    if flag(properties, "gcs.requester-pays"):
        raise ConfigError("gcs.requester-pays is not supported.", "read a bucket whose owner pays, or copy it.")
    if flag(properties, "gcs.no-auth"):
        if given:
            raise ConfigError(f"gcs.no-auth=true contradicts {given[0]}.", "set one of the two.")
        return options | {"skip_signature": True, "credential_provider": _nobody}
    if len(given) > 1:
        raise ConfigError(f"{given[0]} contradicts {given[1]}.", "set one of the two.")
    return options | {_CREDENTIALS[name]: properties[name] for name in given}


def _nobody() -> GCSCredential:
    # obstore asks for a token to write even where it is told to sign nothing, and would look for an instance's.
    return {"token": "", "expires_at": None}
