"""boto3's chain -> credentials for obstore, fresh for as long as a store is used."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError
from lakeflow_io.storage.properties import first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import S3Credential

__all__ = ["DEFAULT_REGION", "assumed_role", "boto3_credentials", "boto3_session"]

# Compatible stores take any, and AWS answers where a bucket is in another.
DEFAULT_REGION = "us-east-1"
# botocore renews what has less than 10 minutes left, and obstore asks again 5 minutes before it must:
# so what obstore holds is at least 5 minutes from its end.
_ASK_AGAIN = timedelta(minutes=10)


def boto3_session(properties: Mapping[str, str], keys: Mapping[str, str] | None = None) -> Any:
    """A boto3 session for the named profile and region, with `keys` where there are any.

    Args:
        properties: `s3.profile-name`, `s3.region` and their `client.*` twins.
        keys: `access_key_id`, `secret_access_key` and perhaps `session_token`.

    Raises:
        ConfigError: AWS's files know no such profile.
    """
    import boto3
    from botocore.exceptions import ProfileNotFound

    profile = first(properties, "s3.profile-name", "client.profile-name")
    region = first(properties, "s3.region", "client.region")
    named = {"aws_" + name: value for name, value in (keys or {}).items()}
    try:
        return boto3.Session(profile_name=profile, region_name=region, **named)
    except ProfileNotFound as error:
        known = ", ".join(boto3.Session().available_profiles) or "none"
        raise ConfigError(f"s3.profile-name={profile!r}: AWS has no such profile.", f"there are: {known}.") from error


def boto3_credentials(properties: Mapping[str, str], keys: Mapping[str, str] | None) -> dict[str, Any]:
    """`credential_provider` and `region` for an S3Store, as far as boto3 finds them.

    Raises:
        ConfigError: AWS's files know no such profile.
    """
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3_session(properties, keys)
    found: dict[str, Any] = {"region": session.region_name} if session.region_name else {}
    if role := assumed_role(properties, session):
        return found | {"credential_provider": role}
    if session.get_credentials() is None:
        return found
    return found | {"credential_provider": Boto3CredentialProvider(session, ttl=_ASK_AGAIN)}


def assumed_role(properties: Mapping[str, str], session: Any) -> Callable[[], S3Credential] | None:
    """What gives keys for the role that the properties name, None where they name none.

    Args:
        properties: `s3.role-arn`, `s3.role-session-name` and their `client.*` twins.
        session: Signs the requests to STS.
    """
    role = first(properties, "s3.role-arn", "client.role-arn")
    name = first(properties, "s3.role-session-name", "client.role-session-name") or "lakeflow"
    return _AssumedRole(session, role, name) if role else None


class _AssumedRole:
    """Keys that STS gives for a role, new ones before the old expire."""

    def __init__(self, session: Any, role: str, name: str) -> None:
        self._session = session
        self._asked = {"RoleArn": role, "RoleSessionName": name}

    def __call__(self) -> S3Credential:
        region = self._session.region_name or DEFAULT_REGION
        given = self._session.client("sts", region_name=region).assume_role(**self._asked)["Credentials"]
        return {
            "access_key_id": given["AccessKeyId"],
            "secret_access_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            # obstore takes no other object for UTC than the standard library's.
            "expires_at": given["Expiration"].astimezone(UTC),
        }
