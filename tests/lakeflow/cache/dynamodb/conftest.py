"""DynamoDB servers on loopback, dynalite where it is installed and moto, and caches to push to them."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pyarrow as pa
import pytest
from faulty_dynamodb import FaultyDynamoDB, faulty_dynamodb
from loopback import free_port, listening

from lakeflow.cache import Cache
from lakeflow.cache.dynamodb import DynamoDBCache, create_table, push

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where `make test` puts it.
_DYNALITE = Path(sys.prefix) / "npm" / "node_modules" / "dynalite" / "cli.js"
_SESSION = boto3.Session("test", "test", region_name="eu-central-1")
_MOTO = "from moto.server import main; main()"


def _has_dynalite() -> bool:
    return shutil.which("node") is not None and _DYNALITE.exists()


def _command(kind: str, port: int) -> list[str]:
    if kind == "moto":
        return [sys.executable, "-c", _MOTO, "-H", "127.0.0.1", "-p", str(port)]
    if not _has_dynalite():
        pytest.skip("dynalite isn't installed: `make test` does that where there is npm")
    return ["node", str(_DYNALITE), "--host", "127.0.0.1", "--port", str(port), "--createTableMs", "0"]


@contextmanager
def _running(kind: str, folder: Path) -> Iterator[str]:
    """A server on loopback; its address."""
    port = free_port()
    with listening(_command(kind, port), port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module", params=["dynalite", "moto"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one server, then of the other."""
    with _running(request.param, tmp_path_factory.mktemp("dynamodb")) as address:
        yield address


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server that is the faster one of those installed."""
    with _running("dynalite" if _has_dynalite() else "moto", tmp_path_factory.mktemp("dynamodb")) as address:
        yield address


@pytest.fixture
def has_dynalite() -> bool:
    """Whether `server` is that one."""
    return _has_dynalite()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of nobody: local servers take any."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of one session, which are made in a twentieth of the time: the session keeps what describes AWS."""
    monkeypatch.setattr(boto3, "Session", lambda **_: _SESSION)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache without a version."""
    return Cache("scores", tmp_path)


class Places:
    """A table of a test's own, seen directly and through a proxy."""

    def __init__(self, address: str, faulty: FaultyDynamoDB) -> None:
        self.table = f"caches-{uuid4().hex[:8]}"
        self.url = f"dynamodb://{self.table}?endpoint={address}"
        self.faulty = faulty
        self.faulty_url = f"dynamodb://{self.table}?endpoint={faulty.url}"
        self.raw = _SESSION.client("dynamodb", endpoint_url=address)

    def items(self) -> list[tuple[str, bytes]]:
        """The keys of all items of the table."""
        pages = self.raw.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        return sorted((item["pk"]["S"], bytes(item["sk"]["B"])) for page in pages for item in page["Items"])

    def rows(self, version: str) -> int:
        """How many rows of a version there are, in any upload."""
        return sum(pk.startswith(f"scores/{version}.") for pk, _ in self.items())

    def records(self) -> dict[str, str]:
        """The phase of each upload's record, by version."""
        records = [key for key in self.items() if key[1].startswith(b"upload/")]
        found: dict[str, str] = {}
        for pk, sk in records:
            item = self.raw.get_item(TableName=self.table, Key={"pk": {"S": pk}, "sk": {"B": sk}})["Item"]
            found[sk.decode().removeprefix("upload/").partition(".")[0]] = item["phase"]["S"]
        return found

    def pushed(self) -> list[str]:
        """The current version and the one before it."""
        key = {"pk": {"S": "scores"}, "sk": {"B": b"CURRENT"}}
        item = self.raw.get_item(TableName=self.table, Key=key, ConsistentRead=True)["Item"]
        names = ("current_upload", "previous_upload")
        return [item[name]["S"].partition(".")[0] for name in names if name in item]

    def set_pointer(self, expression: str, **values: Any) -> None:
        """Change the pointer's item."""
        self.raw.update_item(
            TableName=self.table,
            Key={"pk": {"S": "scores"}, "sk": {"B": b"CURRENT"}},
            UpdateExpression=expression,
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    def expire_lease(self) -> None:
        """Do what a minute does."""
        self.set_pointer("SET lease_until = :past", past={"N": "1"})


def _places(address: str) -> Iterator[Places]:
    with faulty_dynamodb(address) as faulty:
        places = Places(address, faulty)
        create_table(places.url)
        yield places


@pytest.fixture
def places(server: str) -> Iterator[Places]:
    """A table of the test's own on one server."""
    yield from _places(server)


@pytest.fixture
def both(either: str) -> Iterator[Places]:
    """A table of the test's own on each server."""
    yield from _places(either)


def _rows_of(tag: str, rows: int = 60) -> pa.Table:
    """Rows that all say which version they are of."""
    return pa.table({"id": range(rows), "tag": [tag] * rows})


@pytest.fixture
def rows_of() -> Any:
    """Make rows that carry a tag."""
    return _rows_of


@pytest.fixture
def local_and_pushed() -> Any:
    """Publish a table locally and push it; a reader of it."""

    def pushed(cache: Cache, url: str, table: pa.Table, key: Any = "id") -> DynamoDBCache:
        cache.load(table, key=key)
        push(cache, url)
        return DynamoDBCache(cache.name, url)

    return pushed
