"""ListObjectsV2: pages of keys and common prefixes."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape

from benchmarks.s3like.answers import Answer, xml

if TYPE_CHECKING:
    from benchmarks.s3like.store import Store

__all__ = ["list_objects"]

_PAGE = 1000


def list_objects(store: Store, bucket: str, query: dict[str, str]) -> Answer:
    """One page."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = min(int(query.get("max-keys", _PAGE)), _PAGE)
    token = query.get("continuation-token", "")
    after = urlsafe_b64decode(token).decode() if token else query.get("start-after", "")
    found, last, more = _page(store.keys(bucket), prefix, delimiter, after, limit)
    objects = store.bucket(bucket)
    url = query.get("encoding-type") == "url"

    def text(value: str) -> str:
        return escape(quote(value) if url else value)

    parts = [
        f"<ListBucketResult><Name>{escape(bucket)}</Name><Prefix>{text(prefix)}</Prefix>",
        f"<KeyCount>{len(found)}</KeyCount><MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>",
    ]
    if delimiter:
        parts.append(f"<Delimiter>{text(delimiter)}</Delimiter>")
    if url:
        parts.append("<EncodingType>url</EncodingType>")
    if more:
        parts.append(f"<NextContinuationToken>{urlsafe_b64encode(last.encode()).decode()}</NextContinuationToken>")
    for name, is_prefix in found:
        if is_prefix:
            parts.append(f"<CommonPrefixes><Prefix>{text(name)}</Prefix></CommonPrefixes>")
        elif stored := objects.get(name):
            when = datetime.fromtimestamp(stored.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            parts.append(
                f"<Contents><Key>{text(name)}</Key><LastModified>{when}</LastModified>"
                f"<ETag>{escape(stored.etag)}</ETag><Size>{stored.blob.size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
    return Answer(200, {"Content-Type": "application/xml"}, xml("".join(parts) + "</ListBucketResult>"))


def _page(
    keys: list[str], prefix: str, delimiter: str, after: str, limit: int
) -> tuple[list[tuple[str, bool]], str, bool]:
    """Names with whether they are common prefixes; the last one; whether there are more."""
    found: list[tuple[str, bool]] = []
    first = bisect_left(keys, prefix.encode(), key=str.encode)
    at = max(first, bisect_right(keys, after.encode(), key=str.encode)) if after else first
    while at < len(keys) and keys[at].startswith(prefix):
        key = keys[at]
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if end < 0 else key[: end + len(delimiter)]
        if end >= 0 and name == after:  # the page before ended with it
            at += 1
            continue
        if len(found) == limit:
            return found, found[-1][0] if found else after, True
        found.append((name, end >= 0))
        at += 1
        while end >= 0 and at < len(keys) and keys[at].startswith(name):
            at += 1
    return found, "", False
