"""URIs come apart as other engines meant them."""

from __future__ import annotations

import pytest

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.storage.location import Location, join


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/a/b", Location("s3", "bucket", "a/b")),
        ("s3a://bucket/a/b", Location("s3", "bucket", "a/b")),
        ("s3n://bucket/a", Location("s3", "bucket", "a")),
        ("s3://bucket/a?b#c%20d", Location("s3", "bucket", "a?b#c%20d")),
        ("s3://bucket", Location("s3", "bucket", "")),
        ("file:///a/b c", Location("file", "", "a/b c")),
        ("file:/a/b", Location("file", "", "a/b")),
        ("file:///a/k=x%2Fy", Location("file", "", "a/k=x%2Fy")),
        ("/a/b", Location("file", "", "a/b")),
        ("memory://x/a", Location("memory", "x", "a")),
    ],
)
def test_a_uri_comes_apart(uri: str, expected: Location) -> None:
    """Scheme aliases mean S3, a bare path is a file, and no character of a key is special."""
    assert expected == Location.parse(uri)


@pytest.mark.parametrize("uri", ["gs://b/k", "abfss://c@a/k", "ftp://h/k"])
def test_an_unknown_scheme_is_unsupported(uri: str) -> None:
    """A store that isn't spoken is named."""
    with pytest.raises(UnsupportedError, match=uri.partition(":")[0]):
        Location.parse(uri)


def test_parts_are_joined_with_one_slash() -> None:
    """A trailing slash of the base makes no empty part."""
    assert join("s3://b/a/", "x", "y z/w") == "s3://b/a/x/y z/w"
