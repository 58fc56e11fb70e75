"""A store that refuses, cuts, stalls, expires keys and denies: exact rows, or one error that says where."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.s3like import Access, AccessKey, Profile, run_s3like
from lakeflow_io.errors import AccessDeniedError, ConfigError, ObjectNotFoundError, StoreError
from lakeflow_io.reader import Counters, fetch, read_batches
from lakeflow_io.storage import ObjectStoreTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.s3like import S3Like

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
# Shares several times those of a bad day, so that forty requests meet all kinds.
FAULTS = Profile("faults", first_byte_ms=1, slow_down_share=0.1, cut_share=0.05, stall_share=0.05, stall_s=10.0)


@pytest.fixture(scope="module")
def running() -> Iterator[S3Like]:
    """One server for the tests of this file."""
    with run_s3like("none") as started:
        yield started


@pytest.fixture
def server(running: S3Like) -> Iterator[S3Like]:
    """The server; rules and faults go with the test."""
    yield running
    running.use("none")
    running.guard(Access())


@pytest.fixture
def stored(server: S3Like, memory_files: Callable[..., Any], tmp_path: Path) -> Any:
    """Four files of ten row groups on the server, of more than a megabyte each."""
    files = memory_files(SCHEMA, 10_000)
    for seed in range(4):
        random = np.random.default_rng(seed)
        texts = random.integers(0, 2**62, 100_000).astype(str)
        piece = files.add(pa.table({"id": random.integers(0, 2**62, 100_000), "text": texts}))
        (tmp_path / f"{seed}.parquet").write_bytes(files.transport.objects[piece.path])
        assert piece.file_size > 1024 * 1024
    server.load(tmp_path)
    files.local = files.read()
    files.pieces = [
        replace(piece, path=f"s3://{server.bucket}/{seed}.parquet") for seed, piece in enumerate(files.pieces)
    ]
    return files


def scan(stored: Any, server: S3Like, counters: Counters | None = None, **more: str) -> pa.Table:
    """All rows from the server, with `more` properties."""
    # Only where there is a source of others do the first keys' end count.
    properties = {**server.store_properties, "s3.session-token-expires-at-ms": "1", **more}
    transport = ObjectStoreTransport(properties)
    # A budget that makes many units of them, and as many requests.
    batches = read_batches(stored.spec(), stored.pieces, memory=8_000_000, transport=transport, counters=counters)
    return pa.Table.from_batches(batches, stored.local.schema)


def test_a_store_with_faults_gives_the_exact_rows(stored: Any, server: S3Like) -> None:
    """Refusals, cut bodies and bodies that stop for ten seconds, other ones in each scan, change nothing of it."""
    met: Counter[str] = Counter()
    throttled = 0
    for seed in range(12):
        server.use(replace(FAULTS, seed=seed))
        server.reset()
        counters = Counters()

        found = scan(stored, server, counters)

        assert found.equals(stored.local)
        faults = server.counts()["faults"]
        assert faults["slow_down"] + faults.get("cut", 0) <= counters.retries + counters.hedges
        throttled += counters.throttled
        met.update(faults)
    assert set(met) == {"slow_down", "cut", "stall"}
    assert throttled > 0


def test_keys_that_expire_in_the_middle_are_renewed(
    stored: Any, server: S3Like, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each key is good for three requests, and said to be about to end: a scan of many asks for many."""
    server.guard(Access(keys=tuple(AccessKey(f"key-{number}", requests=3) for number in range(1000))))
    numbers = itertools.count()

    def renew() -> Mapping[str, str]:
        return {
            "s3.access-key-id": f"key-{next(numbers)}",
            "s3.secret-access-key": "secret",
            "s3.session-token-expires-at-ms": "1",
        }

    monkeypatch.setitem(sys.modules, "module_of_keys", SimpleNamespace(renew=renew))

    found = scan(stored, server, **{"lakeflow.credentials.function": "module_of_keys:renew"})

    assert found.equals(stored.local)
    assert next(numbers) > 10


def test_a_missing_object_is_named(stored: Any, server: S3Like) -> None:
    """The file that is gone, the bytes that were asked for, and the snapshot that has it."""
    piece = replace(stored.pieces[2], path=f"s3://{server.bucket}/gone.parquet")
    stored.pieces[2] = piece

    with pytest.raises(ObjectNotFoundError) as caught:
        scan(stored, server)

    tail = f"bytes {piece.file_size - 65536}-{piece.file_size} of {piece.path}"
    assert caught.value.message == f"{piece.path} does not exist.\nWhere: {tail}, for tests@1"


def test_a_wrong_region_is_named(stored: Any, server: S3Like) -> None:
    """That the region is wrong, and what was being read."""
    server.guard(Access(region="eu-north-1"))

    with pytest.raises(ConfigError, match="not in the region") as caught:
        scan(stored, server)

    assert "Where: bytes " in caught.value.message
    assert caught.value.message.endswith(f" of {stored.pieces[0].path}, for tests@1")


def test_no_permission_is_named(stored: Any, server: S3Like) -> None:
    """A file that the key may not read ends the scan after one request for it."""
    path = stored.pieces[3].path
    server.guard(Access(denied=path.removeprefix("s3:/")))
    server.reset()

    with pytest.raises(AccessDeniedError) as caught:
        scan(stored, server)

    assert path in caught.value.message
    assert "\nWhere: bytes " in caught.value.message
    assert "tests@1" in caught.value.message


def test_a_store_that_refuses_for_good_is_told(stored: Any, server: S3Like, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that always asks to slow down is the store's failure, after ten attempts."""
    server.use(Profile("busy", slow_down_share=1))
    monkeypatch.setattr(fetch, "_BACKOFF_SECONDS", 0.0)

    with pytest.raises(StoreError) as caught:
        scan(stored, server)

    assert "10 attempts, bytes" in caught.value.message
    assert "tests@1" in caught.value.message
