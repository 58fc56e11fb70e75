"""A boto3 client for S3 from properties, and the means to hold one of its requests to a single attempt."""

from __future__ import annotations

import base64
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.aws import boto3_session
from lakeflow_io.storage.properties import first, flag, seconds, url
from lakeflow_io.storage.s3 import encryption, static_keys

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from lakeflow_io.storage.credentials import FreshProperties

__all__ = ["CONNECTIONS", "SingleAttempts", "extra_arguments", "s3_client"]

# As many as a scan's fetcher has requests under way at most.
CONNECTIONS = 128
_CONNECT_TIMEOUT_SECONDS = 10
_READ_TIMEOUT_SECONDS = 60
# obstore's names for encryption, which the properties are checked for, and boto3's.
_ENCRYPTION = {"server_side_encryption": "ServerSideEncryption", "sse_kms_key_id": "SSEKMSKeyId"}


def s3_client(properties: Mapping[str, str], session: Any = None, fresh: FreshProperties | None = None) -> Any:
    """A client for the endpoint, region and credentials of the properties.

    Args:
        properties: As for `s3_options`.
        session: A boto3 session whose credentials and region are used, in place of the properties'.
        fresh: Where credentials that expire are renewed.

    Raises:
        ConfigError: a property has a value that it can't have.
    """
    from botocore import UNSIGNED
    from botocore.config import Config

    proxy = url(properties, "s3.proxy-uri", password=True)
    virtual = flag(properties, "s3.force-virtual-addressing")
    config = Config(
        max_pool_connections=CONNECTIONS,
        connect_timeout=seconds(properties, "s3.connect-timeout") or _CONNECT_TIMEOUT_SECONDS,
        read_timeout=seconds(properties, "s3.request-timeout") or _READ_TIMEOUT_SECONDS,
        proxies={"http": proxy, "https": proxy} if proxy else None,
        s3={"addressing_style": "virtual" if virtual else "path"},
        # Compatible stores don't all know the checksums that AWS added lately.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if flag(properties, "s3.anonymous") and session is None else None,
    )
    if session is None:
        session = _session(properties, fresh)
    region = first(properties, "s3.region", "client.region") or session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=url(properties, "s3.endpoint"), region_name=region, config=config)


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


class SingleAttempts:
    """Keeps botocore from repeating the requests that a thread makes within `here`.

    It works on a client of the caller's, whose other requests keep their own retries: botocore asks
    all handlers whether to repeat, and the first answer counts.
    """

    def __init__(self, client: Any) -> None:
        self._active = threading.local()
        client.meta.events.register_first("needs-retry.s3.GetObject", self._refuse)

    @contextmanager
    def here(self) -> Generator[None]:
        """Each request in this block is made once."""
        self._active.on = True
        try:
            yield
        finally:
            self._active.on = False

    def _refuse(self, **_: Any) -> bool | None:
        return False if getattr(self._active, "on", False) else None


def _session(properties: Mapping[str, str], fresh: FreshProperties | None) -> Any:
    if fresh is None:
        if properties.get("s3.role-arn") or properties.get("client.role-arn"):
            raise ConfigError("s3.role-arn is not supported by this transport.", "hand over a session of that role.")
        return boto3_session(properties, static_keys(properties))
    import boto3
    import botocore.session
    from botocore.credentials import CredentialProvider, RefreshableCredentials

    def renew() -> dict[str, str | None]:
        newest, until = fresh.current()
        keys = static_keys(newest) or {}
        return {
            "access_key": keys.get("access_key_id"),
            "secret_key": keys.get("secret_access_key"),
            "token": keys.get("session_token"),
            "expiry_time": until.isoformat(),
        }

    class Provider(CredentialProvider):  # type: ignore[misc]  # botocore has no annotations
        METHOD = "lakeflow"

        def load(self) -> Any:
            return RefreshableCredentials.create_from_metadata(renew(), refresh_using=renew, method=self.METHOD)

    core = botocore.session.get_session()
    core.get_component("credential_provider").insert_before("env", Provider())
    return boto3.Session(botocore_session=core)
