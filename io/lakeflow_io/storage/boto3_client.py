"""Properties -> a boto3 session and its clients for S3.

Beside the properties of `s3.py` there is

    lakeflow.s3.session     `package.module:function`; takes nothing, returns a `boto3.Session`

whose credentials and region are used in place of the properties'. Workers call the function too.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.aws import DEFAULT_REGION, assumed_role, boto3_session
from lakeflow_io.storage.credentials import FreshProperties, credential_source
from lakeflow_io.storage.named import named_function
from lakeflow_io.storage.properties import first, flag, seconds, url
from lakeflow_io.storage.s3 import encryption, signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import S3Credential

__all__ = ["SESSION", "extra_arguments", "s3_client", "s3_session"]

SESSION = "lakeflow.s3.session"

# No limit: who schedules requests has one. Connections beyond it would be closed after each request.
_POOL_CONNECTIONS = 1024
_CONNECT_TIMEOUT_SECONDS = 10
_READ_TIMEOUT_SECONDS = 60
# obstore's names for encryption, which the properties are checked for, and boto3's.
_ENCRYPTION = {"server_side_encryption": "ServerSideEncryption", "sse_kms_key_id": "SSEKMSKeyId"}


def s3_session(properties: Mapping[str, str]) -> Any:
    """The boto3 session that signs, with credentials that are renewed where they expire.

    Raises:
        ConfigError: a property has a value that it can't have, or contradicts another.
        StoreError: what gives credentials failed.
    """
    if spelled := properties.get(SESSION):
        return _own_session(spelled, properties)
    source = credential_source(properties)
    fresh = FreshProperties(properties, source) if source is not None else None
    keys = signing_keys(fresh.current()[0] if fresh is not None else properties)
    session = boto3_session(properties, keys)
    if role := assumed_role(properties, session):
        return _renewed(role, session.region_name)
    if fresh is not None and keys is not None:
        return _renewed(fresh.s3, session.region_name)
    return session


def s3_client(properties: Mapping[str, str], session: Any, *, once: bool) -> Any:
    """A client for the endpoint and region of the properties.

    Args:
        properties: As for `s3_options`.
        session: Signs its requests.
        once: Never repeat a request.

    Raises:
        ConfigError: a property has a value that it can't have.
    """
    from botocore import UNSIGNED
    from botocore.config import Config

    proxy = url(properties, "s3.proxy-uri", password=True)
    virtual = flag(properties, "s3.force-virtual-addressing")
    config = Config(
        max_pool_connections=_POOL_CONNECTIONS,
        connect_timeout=seconds(properties, "s3.connect-timeout") or _CONNECT_TIMEOUT_SECONDS,
        read_timeout=seconds(properties, "s3.request-timeout") or _READ_TIMEOUT_SECONDS,
        proxies={"http": proxy, "https": proxy} if proxy else None,
        s3={"addressing_style": "virtual" if virtual else "path"},
        # Compatible stores don't all know the checksums that AWS added lately.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if flag(properties, "s3.anonymous") else None,
    )
    region = first(properties, "s3.region", "client.region") if SESSION not in properties else None
    region = region or session.region_name or DEFAULT_REGION
    client = session.client("s3", endpoint_url=url(properties, "s3.endpoint"), region_name=region, config=config)
    if once:
        # botocore asks all its handlers, of which one follows redirects whatever the limit: the first answer counts.
        client.meta.events.register_first("needs-retry.s3", lambda **_: False)
    return client


def extra_arguments(properties: Mapping[str, str]) -> dict[str, Any]:
    """What every request says that knows it: who pays, and how objects are encrypted.

    Raises:
        ConfigError: a property has a value that it can't have.
    """
    extra: dict[str, Any] = {"RequestPayer": "requester"} if flag(properties, "s3.requester-pays") else {}
    options = encryption(properties)
    if "sse_customer_key_base64" in options:
        key = base64.b64decode(options["sse_customer_key_base64"])
        return extra | {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    return extra | {theirs: options[ours] for ours, theirs in _ENCRYPTION.items() if ours in options}


def _own_session(spelled: str, properties: Mapping[str, str]) -> Any:
    import boto3

    if flag(properties, "s3.anonymous"):
        raise ConfigError(f"s3.anonymous=true contradicts {SESSION}.", "set one of the two.")
    session = named_function(SESSION, spelled, "a boto3.Session")()
    if not isinstance(session, boto3.Session):
        raise ConfigError(f"{spelled} returned {type(session).__name__}.", "it has to return a boto3.Session.")
    return session


def _renewed(give: Callable[[], S3Credential], region: str | None) -> Any:
    """A session whose keys are asked for before its first request, and again before they expire."""
    import boto3
    import botocore.session
    from botocore.credentials import CredentialProvider, DeferredRefreshableCredentials

    def renew() -> dict[str, str | None]:
        given = give()
        ends = given["expires_at"]
        return {
            "access_key": given["access_key_id"],
            "secret_key": given["secret_access_key"],
            "token": given.get("token"),
            "expiry_time": ends.isoformat() if ends is not None else None,
        }

    class Provider(CredentialProvider):  # type: ignore[misc]  # botocore has no annotations
        METHOD = "lakeflow"

        def load(self) -> Any:
            return DeferredRefreshableCredentials(renew, self.METHOD)

    core = botocore.session.get_session()
    core.get_component("credential_provider").insert_before("env", Provider())
    return boto3.Session(botocore_session=core, region_name=region)
