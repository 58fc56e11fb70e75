"""URIs come apart as other engines meant them."""

from __future__ import annotations

import pytest

from lakeflow_io.errors import ConfigError, UnsupportedError
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
        ("gs://bucket/a/b", Location("gs", "bucket", "a/b")),
        ("gcs://bucket/a", Location("gs", "bucket", "a")),
        ("abfss://c@acc.dfs.core.windows.net/a/b", Location("azure", "c", "a/b", "acc.dfs.core.windows.net")),
        ("abfs://c/a", Location("azure", "c", "a")),
        ("wasbs://c@acc.blob.core.windows.net/a", Location("azure", "c", "a", "acc.blob.core.windows.net")),
        ("wasb://c@acc.blob.core.windows.net/a", Location("azure", "c", "a", "acc.blob.core.windows.net")),
        ("az://c/a", Location("azure", "c", "a")),
        ("adl://c@acc.dfs.core.windows.net/a", Location("azure", "c", "a", "acc.dfs.core.windows.net")),
        ("https://host:8443/a/b", Location("https", "host:8443", "a/b")),
        ("http://host/a%20b", Location("http", "host", "a b")),
        ("https://host/a%3Fb?c=%2F/d&e", Location("https", "host", "a?b", query="c=%2F/d&e")),
    ],
)
def test_a_uri_comes_apart(uri: str, expected: Location) -> None:
    """Scheme aliases mean S3, a bare path is a file, and no character of a key is special but on the web."""
    assert expected == Location.parse(uri)


@pytest.mark.parametrize("uri", ["hdfs://n/k", "oss://b/k", "ftp://h/k"])
def test_an_unknown_scheme_is_unsupported(uri: str) -> None:
    """A store that isn't spoken is named."""
    with pytest.raises(UnsupportedError, match=uri.partition(":")[0]):
        Location.parse(uri)


@pytest.mark.parametrize("uri", ["https://user:hunter2@host/a", "s3://key:hunter2@bucket/a"])
def test_a_password_in_a_uri_is_refused(uri: str) -> None:
    """URIs are written into tables and logs: credentials in them are refused, and not repeated."""
    with pytest.raises(ConfigError, match="as properties") as caught:
        Location.parse(uri)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3:///a", "gs:///a", "https:///a"])
def test_a_bucket_is_needed(uri: str) -> None:
    """A URI without a bucket is the caller's mistake."""
    with pytest.raises(ConfigError, match="names no bucket"):
        Location.parse(uri)


def test_parts_are_joined_with_one_slash() -> None:
    """A trailing slash of the base makes no empty part."""
    assert join("s3://b/a/", "x", "y z/w") == "s3://b/a/x/y z/w"
