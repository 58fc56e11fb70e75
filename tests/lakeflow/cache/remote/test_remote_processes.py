"""Whole processes on one S3 server: readers while others publish, and processes that are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from cache_place import Place

ROWS = 200
PUBLISHES = 15
WORKER = """
import json, sys, time
import pyarrow as pa
import lakeflow.cache.remote.shelf as shelf
from lakeflow.cache import Cache
root, storage, action = json.loads(sys.argv[1])
def stop(*_):
    print("stopped", flush=True)
    time.sleep(600)
cache = Cache("scores", root, storage=storage)
if action == "read":
    shelf.check_sum = stop  # a shard has come, and isn't in place yet
    cache.get(1)
else:
    shelf.ObjectShelf.whole = stop  # all is sent, and the pointer isn't replaced yet
    cache.load(pa.table({"id": range(200), "number": [2] * 200}), key="id")
"""


def table(number: int) -> pa.Table:
    """Rows that all carry a number."""
    return pa.table({"id": range(ROWS), "number": [number] * ROWS, "text": [str(number) * 50] * ROWS})


def test_no_request_sees_two_versions(s3_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """While versions are published as fast as they can be, each answer is of one, and versions only get newer."""
    monkeypatch.setattr("lakeflow.cache.building.build.SHARD_ROWS", 50)
    publisher = s3_place.cache("publisher", keep=2, grace=60)
    publisher.load(table(0), key="id")
    ended, torn = threading.Event(), []
    seen: dict[str, set[int]] = {f"machine-{number}": set() for number in range(2)}

    def read(machine: str) -> None:
        reader, last, answers = s3_place.cache(machine, refresh=0.01), 0, seen[machine]
        while not ended.is_set() or last < published:
            rows = reader.get_many(range(ROWS)).to_pydict()
            numbers = set(rows["number"])
            if len(numbers) != 1 or rows["text"] != [str(number) * 50 for number in rows["number"]]:
                torn.append(numbers)
            if min(numbers) < last:
                torn.append((last, numbers))
            last = max(numbers)
            answers.add(last)

    published = 0
    readers = [threading.Thread(target=read, args=(machine,), daemon=True) for machine in seen]
    for reader in readers:
        reader.start()
    # Oftener where a reader got little of the processor meanwhile.
    while published < PUBLISHES or (min(map(len, seen.values())) < 3 and all(each.is_alive() for each in readers)):
        publisher.load(table(published + 1), key="id")
        published += 1
    ended.set()
    for reader in readers:
        reader.join(60)

    assert torn == []
    assert not any(reader.is_alive() for reader in readers)
    assert [max(answers) for answers in seen.values()] == [published] * 2
    assert min(map(len, seen.values())) >= 3


@pytest.mark.parametrize("action", ["load", "read"])
def test_a_process_is_killed(action: str, s3_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher with all objects sent, a reader with a shard half in place: both leave the version that was there.

    What they left on their machine and in the store goes.
    """
    s3_place.cache().load(table(1), key="id")
    storage = {**s3_place.storage, "lakeflow.shard-cache.folder": str(s3_place.machines / "doomed")}
    command = [sys.executable, "-c", WORKER, json.dumps([s3_place.root, storage, action])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said: Any = process.stdout.readline()
        process.kill()
    before = s3_place.objects()

    reader = s3_place.cache("doomed")
    assert (said, reader.get(1)["number"], len(reader.versions())) == ("stopped\n", 1, 1)
    assert s3_place.cache().gc().versions == ()  # its claim is fresh
    with monkeypatch.context() as patch:
        patch.setattr("lakeflow.cache.remote.lease.LEASE_SECONDS", 0.0)
        removed = s3_place.cache().gc().versions

    assert (len(removed), len(before) - len(s3_place.objects())) == ((1, 4) if action == "load" else (0, 0))
    assert sorted(path.suffix for path in (s3_place.machines / "doomed").rglob("shard-*")) == [".arrow", ".idx"]
    assert list((s3_place.machines / "doomed").glob("building/*")) == []
