"""Properties -> an Azure store (Blob Storage, Data Lake Storage Gen2).

    adls.account-name                               where the URI doesn't name it
    adls.account-host, or adls.blob-storage-authority with adls.blob-storage-scheme
    adls.connection-string                          account, key or SAS, and endpoint in one
    adls.account-key
    adls.sas-token, adls.sas-token.<account>[.dfs.core.windows.net]
    adls.tenant-id, adls.client-id, adls.client-secret
    adls.token                                      a bearer token
    adls.anon

With none of these credentials: what Azure gives the machine (environment, managed identity).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.properties import client_options, first, flag, url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakeflow_io.storage.location import Location

__all__ = ["azure_options", "sas_token"]

_PRINCIPAL = ("adls.tenant-id", "adls.client-id", "adls.client-secret")
_PUBLIC_HOSTS = (".dfs.core.windows.net", ".blob.core.windows.net")


def azure_options(properties: Mapping[str, str], location: Location) -> dict[str, Any]:
    """Keyword arguments for `obstore.store.AzureStore`.

    Raises:
        ConfigError: a property's value is none it can have, contradicts another's, or no account is named.
    """
    connection = _connection(properties)
    account = location.host.partition(".")[0] or first(properties, "adls.account-name") or connection.get("AccountName")
    if not account:
        raise ConfigError(
            f"No Azure account is named for container {location.bucket!r}.",
            "write abfss://container@account.dfs.core.windows.net/..., or set adls.account-name.",
        )
    endpoint = _endpoint(properties, connection, location, account)
    options: dict[str, Any] = {"account_name": account, "client_options": client_options(properties, endpoint)}
    if endpoint is not None:
        options["endpoint"] = endpoint
    return options | _credentials(properties, connection, account)


def sas_token(properties: Mapping[str, str], account: str) -> str | None:
    """The shared access signature for an account: its own before one for all."""
    names = [f"adls.sas-token.{account}{suffix}" for suffix in (*_PUBLIC_HOSTS, "")]
    value = first(properties, *names, "adls.sas-token")
    return value.removeprefix("?") if value else None


def _credentials(properties: Mapping[str, str], connection: Mapping[str, str], account: str) -> dict[str, Any]:
    principal = [name for name in _PRINCIPAL if properties.get(name)]
    if principal and len(principal) < len(_PRINCIPAL):
        missing = next(name for name in _PRINCIPAL if name not in principal)
        raise ConfigError(f"{principal[0]} is set, and {missing} is not.", f"a principal is {', '.join(_PRINCIPAL)}.")
    if properties.get("adls.credential"):
        raise ConfigError("adls.credential is not supported.", f"set adls.token, or {', '.join(_PRINCIPAL)}.")
    given: dict[str, dict[str, Any]] = {}
    if flag(properties, "adls.anon"):
        given["adls.anon"] = {"skip_signature": True}
    if sas := sas_token(properties, account) or connection.get("SharedAccessSignature"):
        given["adls.sas-token"] = {"sas_key": sas}
    if key := first(properties, "adls.account-key") or connection.get("AccountKey"):
        given["adls.account-key"] = {"account_key": key}
    if token := properties.get("adls.token"):
        given["adls.token"] = {"token": token}
    if principal:
        tenant, client, secret = (properties[name] for name in _PRINCIPAL)
        given["adls.client-secret"] = {"tenant_id": tenant, "client_id": client, "client_secret": secret}
    if len(given) > 1:
        one, other, *_ = given
        raise ConfigError(f"{one} contradicts {other}.", "set the credentials of one kind only.")
    return next(iter(given.values()), {})


def _connection(properties: Mapping[str, str]) -> dict[str, str]:
    text = properties.get("adls.connection-string") or ""
    fields = [field.partition("=") for field in text.split(";") if field]
    if not all(name and mark and value for name, mark, value in fields):
        raise ConfigError("adls.connection-string is none.", "copy it whole: AccountName=...;AccountKey=...;...")
    return {name: value for name, _, value in fields}


def _endpoint(
    properties: Mapping[str, str], connection: Mapping[str, str], location: Location, account: str
) -> str | None:
    """Another address than the public cloud's; None for that."""
    if blob := connection.get("BlobEndpoint"):
        return url({"adls.connection-string": blob}, "adls.connection-string")
    scheme = properties.get("adls.blob-storage-scheme") or "https"
    if host := properties.get("adls.account-host"):
        return url({"adls.account-host": f"{scheme}://{host}"}, "adls.account-host")
    if authority := properties.get("adls.blob-storage-authority"):
        # As in pyarrow: what begins with a dot follows the account's name, all else stands alone.
        host = f"{account}{authority}" if authority.startswith(".") else f"{authority}/{account}"
        return url({"adls.blob-storage-authority": f"{scheme}://{host}"}, "adls.blob-storage-authority")
    # Sovereign clouds are told by the URI's host.
    if "." in location.host and not location.host.endswith(_PUBLIC_HOSTS):
        return f"{scheme}://{location.host.replace('.dfs.', '.blob.', 1)}"
    return None
