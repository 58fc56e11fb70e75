"""What boto3 raises -> whether to ask again, and lakeflow's own errors."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Literal

from lakeflow_io.errors import AccessDeniedError, ConfigError, LakeflowError, NotFoundError, StoreError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONDITION", "delays", "explained", "passing"]

CONDITION = "ConditionalCheckFailedException"
"""The code of an update whose condition doesn't hold."""

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
}
_BROKEN = {"InternalServerError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException"}
_DENIED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "UnrecognizedClientException",
}
_OTHER_KEY = ("does not match the schema", "Type mismatch for key")
_SERVER_ERROR = 500  # HTTP
_TOO_MANY_REQUESTS = 429

_BASE_SECONDS = 0.05
_LONGEST_SECONDS = 5.0

_CREATE = (
    "create it with `lakeflow cache push --create`, or with `aws dynamodb create-table --table-name {table} "
    "--billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=pk,AttributeType=S "
    "AttributeName=sk,AttributeType=B --key-schema AttributeName=pk,KeyType=HASH AttributeName=sk,KeyType=RANGE`."
)


def delays(attempts: int) -> Iterator[float]:
    """Yield how long to wait after each failed attempt but the last, in seconds.

    Exponential backoff with full jitter: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    for attempt in range(attempts - 1):
        yield random.uniform(0, min(_LONGEST_SECONDS, _BASE_SECONDS * 2**attempt))  # noqa: S311  (it spreads, it guards nothing)


def passing(error: Exception) -> Literal["throttled", "broken"] | None:
    """Tell why the same request may succeed later: too many came, or an answer was lost; None where it won't."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _THROTTLED or status == _TOO_MANY_REQUESTS:
            return "throttled"
        return "broken" if code in _BROKEN or status >= _SERVER_ERROR else None
    lost = (exceptions.HTTPClientError, exceptions.ChecksumError)
    return "broken" if isinstance(error, lost) and not isinstance(error, exceptions.SSLError) else None


def explained(error: Exception, table: str) -> LakeflowError:
    """Return the error of ours that says what a failed request means.

    Args:
        error: A `ClientError` or `BotoCoreError`.
        table: The table's name.
    """
    from botocore import exceptions

    shown = f"dynamodb://{table}"
    if isinstance(error, exceptions.ClientError):
        return _refused(error, table)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return AccessDeniedError(f"No credentials for {shown}: {error}", "set up AWS's, for instance AWS_PROFILE.")
    if isinstance(error, (exceptions.NoRegionError, exceptions.InvalidRegionError, exceptions.ProfileNotFound)):
        return ConfigError(f"{shown}: {error}", f"give the region: {shown}?region=eu-central-1.")
    return StoreError(f"Can't reach {shown}: {error}", "check the region, the endpoint and the network.")


def _refused(error: Any, table: str) -> LakeflowError:
    shown = f"dynamodb://{table}"
    code, said = _code(error), error.response.get("Error", {}).get("Message") or str(error)
    if code == "ResourceNotFoundException":
        return NotFoundError(f"{shown} doesn't exist, or is being created.", _CREATE.format(table=table))
    if passing(error) == "throttled":
        message = f"{shown} refuses more requests: {said}"
        return ThrottledError(message, "raise its capacity or make it on-demand, and try again.")
    if code in _DENIED:
        return AccessDeniedError(f"{shown} denies access: {said}", "check the credentials and their rights.")
    if code == "ValidationException" and any(other in said for other in _OTHER_KEY):
        message = f"{shown} has another key than pushed caches need: {said}"
        return ConfigError(message, "take another table; " + _CREATE.format(table="TABLE"))
    return StoreError(f"{shown} refuses: {code}: {said}")


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
