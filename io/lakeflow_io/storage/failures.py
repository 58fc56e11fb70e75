"""What a store answers -> an error of ours that says what to do and whether a retry helps.

obstore has few types: most failures are a GenericError, and the status of the answer stands in its
text. An object's name may look like a status, so it is taken out before anything is searched for.
"""

from __future__ import annotations

import errno
import re

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from lakeflow_io.errors import (
    AccessDeniedError,
    ConfigError,
    CorruptFileError,
    LakeflowError,
    ObjectNotFoundError,
    StoreError,
    StoreFullError,
    ThrottledError,
    UnsupportedError,
)
from lakeflow_io.storage.location import Location

__all__ = [
    "cause",
    "failed",
    "gave_up",
    "is_outside",
    "no_conditions",
    "no_credentials",
    "refused",
    "refuses_conditions",
    "too_short",
    "translate",
]

_STATUS = re.compile(r"status code: (\d{3})\b")
_CODE = re.compile(r"<Code>(\w+)</Code>")
# 503 is S3's and Azure's, 429 Google's; some compatible stores send the code with another status.
_THROTTLED = (429, 503)
_THROTTLED_CODES = ("SlowDown", "ServerBusy", "RequestLimitExceeded", "TooManyRequests", "Throttling")
# S3 answers 400, not 403, to credentials that were good once.
_EXPIRED_CODES = ("ExpiredToken", "TokenRefreshRequired", "InvalidToken")
# What obstore says itself of a range that begins behind the end: of files, of Azure's blobs.
_OUTSIDE = ("range was invalid", "Wanted range starting at")
_WRONG_REGION = ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed")
_CREDENTIALS = {
    "s3": "s3.access-key-id and s3.secret-access-key, or the AWS profile",
    "gs": "gcs.oauth2.token, or Google's application default credentials",
    "azure": "adls.sas-token, adls.account-key or adls.client-secret",
    "file": "the folder's rights",
}
# 501 is what stores of the S3 protocol answer to a header that they don't know; the second is obstore's own.
_NO_CONDITIONS = re.compile(r"status code: 501\b|<Code>NotImplemented</Code>|NotImplemented|not (?:yet )?implemented")
_REGION_EXPECTED = re.compile(r"expecting '([\w-]+)'|<Region>([\w-]+)</Region>")
_SOURCE_FAILED = re.compile(r"credential provider: (StoreError|ConfigError): (.*)")
# Of URLs that Azure, AWS and Google sign.
_SIGNED = re.compile(r"\b(?:sig|[\w-]*Signature)=")


def is_outside(error: Exception, key: str) -> bool:
    """Tell whether a ranged read of `key` failed because the range begins behind the object's end."""
    text = _nameless(str(error), key)
    return any(said in text for said in _OUTSIDE) or _found(_STATUS, text) == "416"


def too_short(uri: str, start: int, length: int, got: int) -> CorruptFileError:
    """A range that leaves the object."""
    return CorruptFileError(
        f"{uri} ends too early: bytes {start}-{start + length} were asked for, {got} came.",
        "it was truncated or replaced after its size was noted; restore it, or read what doesn't need it.",
    )


def cause(error: Exception) -> Exception | None:
    """What may be shown as an error's cause: obstore's own, unless its debug print holds a signature."""
    return None if _SIGNED.search(str(error)) else error


def translate(error: Exception, uri: str) -> LakeflowError:
    """The error of ours for what obstore raised about `uri`."""
    # obstore appends a Rust debug print, which helps nobody who reads a message.
    text = str(error).split("\n\nDebug source:")[0].strip()
    line = text.splitlines()[0] if text else "no details given"
    nameless = _nameless(text, Location.parse(uri).key)
    if isinstance(error, FileNotFoundError):
        return _gone(uri)
    if found := _SOURCE_FAILED.search(text):
        said = f"No fresh credentials for {uri}: {found[2]}"
        if found[1] == "ConfigError":
            return ConfigError(said, "check what gives credentials.")
        # The catalog that renews credentials may answer the next time.
        return StoreError(said, "check the catalog that vends them; retry.")
    status, code = int(_found(_STATUS, nameless) or 0), _found(_CODE, nameless)
    if "redirect without LOCATION" in nameless:
        status = 301
    elif isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
        status = status or 403
    known = refused(uri, status, code, nameless.replace("\n", " "), line)
    return known or _local(nameless, line, uri) or _other(nameless, line, uri)


def refused(uri: str, status: int, code: str, text: str, line: str) -> LakeflowError | None:
    """The error for an answer that is one of those with a meaning of their own, None for all others.

    Args:
        uri: What was asked about.
        status: HTTP's.
        code: S3's or Azure's.
        text: All that came, without the object's name.
        line: What of it is to be shown.
    """
    if status == 404:  # noqa: PLR2004  (RFC 9110)
        return _gone(uri)
    if status in (301, 307) or code in _WRONG_REGION:
        return _wrong_region(uri, text)
    if status in _THROTTLED or code in _THROTTLED_CODES:
        return ThrottledError(
            f"The store asks for fewer requests, at {uri}: {line}", "retry later, with fewer at once."
        )
    if status in (401, 403) or code in _EXPIRED_CODES:
        return AccessDeniedError(
            f"Access to {uri} was refused: {line}",
            f"check the credentials ({_credentials(uri)}), their rights and {_place(uri)}.",
        )
    return None


def _gone(uri: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(f"{uri} does not exist.", "what names it is out of date, or it was deleted since.")


def failed(uri: str, line: str) -> StoreError:
    """A failure that another attempt may not meet."""
    return StoreError(f"The store failed on {uri}: {line}", "check the endpoint and the network, then retry.")


def no_credentials(uri: str, line: str) -> AccessDeniedError:
    """There is nothing to sign a request with."""
    return AccessDeniedError(f"No usable credentials for {uri}: {line}", f"set {_credentials(uri)}.")


def gave_up(uri: str) -> ConfigError:
    """The library beneath ended in a panic, which is what it does with a header that can't be sent."""
    return ConfigError(
        f"No request about {uri} could be made.",
        "check the credentials and the region, also in the environment, for line breaks and other stray characters.",
    )


def refuses_conditions(error: StoreError, uri: str) -> bool:
    """Tell whether a store has refused a put of `uri` because of its condition, which it doesn't know."""
    return bool(_NO_CONDITIONS.search(error.message.replace(uri, "")))


def no_conditions(uri: str) -> UnsupportedError:
    """The store can't tell whether it wrote an object first."""
    return UnsupportedError(
        f"The store of {uri} has no conditional writes (If-None-Match, If-Match).",
        "two writers of one object can't be told apart there: let one at a time write.",
    )


def _local(nameless: str, line: str, uri: str) -> LakeflowError | None:
    if f"os error {errno.ENOSPC}" in nameless or f"os error {errno.EDQUOT}" in nameless:
        return StoreFullError(
            f"No space left to write {uri}.", "free space or choose another warehouse, then run again."
        )
    if f"os error {errno.EACCES}" in nameless or f"os error {errno.EROFS}" in nameless:
        return AccessDeniedError(f"{uri} is not writable or readable: {line}", "check the folder's rights.")
    return None


def _other(nameless: str, line: str, uri: str) -> LakeflowError:
    if "non-partial response" in nameless:
        return ConfigError(
            f"The store of {uri} answers a part of an object with all of it.",
            "it doesn't know HTTP's Range header; check the endpoint, or what stands before it.",
        )
    if re.search(r"\bcredentials?\b", nameless, re.IGNORECASE):
        return no_credentials(uri, line)
    return failed(uri, line)


def _wrong_region(uri: str, text: str) -> ConfigError:
    expected = _REGION_EXPECTED.search(text)
    region = next((each for each in expected.groups() if each), None) if expected else None
    return ConfigError(
        f"The bucket of {uri} is not in the region that was asked" + (f", but in {region}." if region else "."),
        f"set s3.region to {region or 'the region of the bucket'}.",
    )


def _credentials(uri: str) -> str:
    return _CREDENTIALS.get(Location.parse(uri).scheme, "none can be set for this kind of store")


def _place(uri: str) -> str:
    return "s3.region" if Location.parse(uri).scheme == "s3" else "the endpoint"


def _nameless(text: str, key: str) -> str:
    return text.replace(key, "") if key else text


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
