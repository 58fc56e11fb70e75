"""Properties -> an S3 store: endpoint, region, addressing, encryption, who pays, and whose credentials.

    s3.endpoint, s3.region | client.region, s3.force-virtual-addressing
    s3.access-key-id, s3.secret-access-key, s3.session-token   (or all three as client.*)
    s3.profile-name | client.profile-name
    s3.role-arn | client.role-arn, s3.role-session-name | client.role-session-name
    s3.anonymous, s3.requester-pays
    s3.server-side-encryption, s3.sse-kms-key-id; or as Java names them: s3.sse.type, s3.sse.key
    s3.proxy-uri, s3.connect-timeout, s3.request-timeout       (seconds)

Credentials: those in the properties; else boto3's chain where boto3 is installed (profiles, SSO,
instance roles), refreshed by boto3; else obstore's own (environment, instance role).
"""

from __future__ import annotations

import base64
import importlib.util
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.aws import DEFAULT_REGION, boto3_credentials
from lakeflow_io.storage.properties import client_options, first, flag, url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["encryption", "s3_options", "signing_keys", "static_keys"]

# Java's names for what S3 calls its kinds of encryption (iceberg S3FileIOProperties).
_SSE_TYPES = {"none": None, "s3": "AES256", "kms": "aws:kms", "dsse-kms": "aws:kms:dsse", "custom": "sse-c"}
_KEY_BYTES = 32  # AES-256
_SSE_KINDS = ("AES256", "aws:kms", "aws:kms:dsse", "sse-c")


def s3_options(properties: Mapping[str, str], bucket: str) -> dict[str, Any]:
    """Keyword arguments for `obstore.store.S3Store`.

    Raises:
        ConfigError: a property's value is none it can have, or contradicts another's.
    """
    endpoint = url(properties, "s3.endpoint")
    virtual = flag(properties, "s3.force-virtual-addressing")
    options: dict[str, Any] = {
        "client_options": client_options(properties, endpoint),
        "virtual_hosted_style_request": virtual,
        **encryption(properties),
        **_credentials(properties),
    }
    if endpoint is not None:
        options["endpoint"] = _at_bucket(endpoint, bucket) if virtual else endpoint
    if flag(properties, "s3.requester-pays"):
        options["request_payer"] = True
    if region := first(properties, "s3.region", "client.region"):
        options["region"] = region
    options.setdefault("region", DEFAULT_REGION)
    return options


def static_keys(properties: Mapping[str, str]) -> dict[str, str] | None:
    """`access_key_id`, `secret_access_key` and perhaps `session_token`, all of one family of names.

    A catalog's own keys (`client.*`) may stand beside those of its store (`s3.*`).

    Raises:
        ConfigError: one half of a pair is missing.
    """
    for family in ("s3", "client"):
        names = [f"{family}.{each}" for each in ("access-key-id", "secret-access-key", "session-token")]
        key, secret, token = (properties.get(name) for name in names)
        if not key and not secret:
            continue
        if not key or not secret:
            there, missing = (names[0], names[1]) if key else (names[1], names[0])
            raise ConfigError(f"{there} is set, and {missing} is not.", f"set {missing} too, or neither.")
        return {"access_key_id": key, "secret_access_key": secret, **({"session_token": token} if token else {})}
    return None


def signing_keys(properties: Mapping[str, str]) -> dict[str, str] | None:
    """The keys in the properties; None where nothing is signed, or with what is found elsewhere.

    Raises:
        ConfigError: the properties contradict each other, or leave signing to the catalog.
    """
    keys = static_keys(properties)
    if flag(properties, "s3.anonymous"):
        if properties.get("s3.access-key-id"):
            raise ConfigError("s3.anonymous=true contradicts s3.access-key-id.", "set one of the two.")
        return None
    if properties.get("s3.signer") and keys is None:
        raise ConfigError(
            f"s3.signer={properties['s3.signer']!r}: requests that the catalog signs are not supported.",
            "let the catalog vend credentials (header.X-Iceberg-Access-Delegation=vended-credentials).",
        )
    return keys


def _credentials(properties: Mapping[str, str]) -> dict[str, Any]:
    keys = signing_keys(properties)
    if flag(properties, "s3.anonymous"):
        return {"skip_signature": True}
    if keys is not None and first(properties, "s3.role-arn", "client.role-arn") is None:
        return dict(keys)
    if importlib.util.find_spec("boto3"):
        return boto3_credentials(properties, keys)
    for name in ("s3.role-arn", "client.role-arn", "s3.profile-name", "client.profile-name"):
        if properties.get(name):
            raise ConfigError.missing_extra("boto3", "aws", name)
    return {}


def encryption(properties: Mapping[str, str]) -> dict[str, Any]:
    """How objects are encrypted, as options of an S3Store.

    Raises:
        ConfigError: a kind that S3 doesn't know, or a key that is none.
    """
    java = properties.get("s3.sse.type", "")
    if java and java not in _SSE_TYPES:
        raise ConfigError(f"s3.sse.type={java!r} is unknown.", f"it is one of {', '.join(_SSE_TYPES)}.")
    kind = first(properties, "s3.server-side-encryption") or _SSE_TYPES.get(java)
    if kind is None:
        return {}
    if kind not in _SSE_KINDS:
        raise ConfigError(f"s3.server-side-encryption={kind!r} is unknown.", f"it is one of {', '.join(_SSE_KINDS)}.")
    if kind == "sse-c":
        if not _is_key(properties.get("s3.sse.key", "")):
            raise ConfigError("s3.sse.type=custom needs a key of 32 bytes.", "set s3.sse.key to them in base 64.")
        return {"server_side_encryption": kind, "sse_customer_key_base64": properties["s3.sse.key"]}
    key = first(properties, "s3.sse-kms-key-id", "s3.sse.key") if kind.startswith("aws:kms") else None
    return {"server_side_encryption": kind, **({"sse_kms_key_id": key} if key else {})}


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except ValueError:
        return False


def _at_bucket(endpoint: str, bucket: str) -> str:
    # obstore wants the bucket in the endpoint of requests that name it by host.
    parts = urlsplit(endpoint)
    if parts.netloc.startswith(f"{bucket}."):
        return endpoint
    return parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl()
