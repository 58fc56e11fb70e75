"""A cache in a real cluster of three nodes: spread over all, and one request still sees one version, whole."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import valkey
from reading_meanwhile import seen_whole

import lakeflow.cache.valkey.pusher as push_module
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow.cache.valkey.names import PARTS, Names, spread_tags
from lakeflow.cache.valkey.nodes import SLOTS, slot_of
from lakeflow_io.errors import CommitConflictError, ConfigError, StoreError

if TYPE_CHECKING:
    from lakeflow.cache import Cache


@pytest.fixture
def url(cluster_url: str) -> str:
    """Any node of the cluster, which is empty."""
    return cluster_url


def test_a_cache_lies_on_all_nodes(
    cluster: list[int], keys_of: Any, local_and_pushed: Any, rows_of: Any, cache: Cache, url: str
) -> None:
    """Evenly, and reads as the local one does, from any node's address."""
    local_and_pushed(cache, url, rows_of("a", 30_000))

    asked = [*range(0, 30_000, 7), -1]
    for port in cluster:
        reader = ValkeyCache("scores", f"valkey://127.0.0.1:{port}")
        assert cache.get_many(asked).equals(reader.get_many(asked))
        assert cache.get(29_999) == reader.get(29_999)
        assert reader.get(-1) is None
    counts = [len(keys) for keys in keys_of(cluster)]
    assert max(counts) < 1.1 * min(counts)


def test_parts_lie_evenly_over_all_slots() -> None:
    """Each of as many ranges of slots has one, and two that follow each other lie far apart."""
    names = Names("scores")

    ranges = [slot_of(names.part(tag)) * PARTS // SLOTS for tag in spread_tags("scores")]

    assert list(range(PARTS)) == sorted(ranges)
    assert min(abs(left - right) for left, right in pairwise(ranges)) >= PARTS // 4


def test_a_small_cache_in_a_cluster(local_and_pushed: Any, rows_of: Any, cache: Cache, url: str) -> None:
    """With fewer buckets than parts."""
    reader = local_and_pushed(cache, url, rows_of("a", 3))

    assert cache.get_many([2, 9, 0]).equals(reader.get_many([2, 9, 0]))


def test_no_request_mixes_versions_in_a_cluster(
    cluster: list[int], keys_of: Any, local_and_pushed: Any, rows_of: Any, cache: Cache, url: str
) -> None:
    """Though pointers of the parts move one after the other; and in the end there are two versions and no more."""
    local_and_pushed(cache, url, rows_of("first", 2000))
    readers = [ValkeyCache("scores", f"valkey://127.0.0.1:{port}") for port in cluster[:2]]

    def read(reader: ValkeyCache) -> set[str | None]:
        return set(reader.get_many(range(2000))["tag"].to_pylist())

    def publish(number: int) -> None:
        cache.load(rows_of(f"v{number}", 2000), key="id")
        push(cache, url)

    seen_whole([partial(read, reader) for reader in readers], publish, times=6, least=4)
    keys = set.union(*keys_of(cluster))
    held = {key.split(b":")[2] for key in keys} - {b"CURRENT", b"PUSHES"}
    assert len(held) == 2


def test_a_pusher_that_dies_between_pointers(
    local_and_pushed: Any, rows_of: Any, cache: Cache, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers stay with the old version, whose pointer decides; the next push completes."""
    reader = local_and_pushed(cache, url, rows_of("a", 2000))
    cache.load(rows_of("b", 2000), key="id")
    point = push_module._Pushing._point_parts

    def dying(pushing: Any, made: Any) -> None:
        point(pushing, made)
        raise KeyboardInterrupt

    monkeypatch.setattr(push_module._Pushing, "_point_parts", dying)
    with pytest.raises(KeyboardInterrupt):
        push(cache, url)
    assert {"a"} == set(reader.get_many(range(2000))["tag"].to_pylist())
    assert reader.get(1)["tag"] == "a"

    monkeypatch.undo()
    report = push(cache, url)

    assert (report.written, report.rows) == (True, 0)  # all had been written before
    assert {"b"} == set(reader.get_many(range(2000))["tag"].to_pylist())


def test_a_slot_that_moves_is_followed(
    cluster: list[int], local_and_pushed: Any, rows_of: Any, cache: Cache, url: str
) -> None:
    """By a reader and a pusher that knew where it was."""
    reader = local_and_pushed(cache, url, rows_of("a", 2000))
    tag = spread_tags("scores")[0]
    slot = slot_of(Names("scores").part(tag))
    source, target = (valkey.Valkey(port=cluster[node]) for node in ((slot * len(cluster)) // SLOTS, 0))
    if source.connection_pool.connection_kwargs["port"] == cluster[0]:
        target = valkey.Valkey(port=cluster[1])
    ids = [node.execute_command("CLUSTER", "MYID").decode() for node in (source, target)]
    target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    keys = source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    port = target.connection_pool.connection_kwargs["port"]
    source.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source):
        node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])

    assert {"a"} == set(reader.get_many(range(2000))["tag"].to_pylist())
    cache.load(rows_of("b", 2000), key="id")
    assert push(cache, url).rows == 2000
    assert {"b"} == set(reader.get_many(range(2000))["tag"].to_pylist())
    assert keys


def test_a_node_that_lost_its_rows_is_an_error(
    cluster: list[int], keys_of: Any, local_and_pushed: Any, rows_of: Any, cache: Cache, url: str
) -> None:
    """Not a cache in which a third of the keys has no row."""
    reader = local_and_pushed(cache, url, rows_of("a", 2000))
    root = keys_of(cluster)
    for port, keys in zip(cluster, root, strict=True):
        if b"lakeflow:{scores}:CURRENT" not in keys:
            with valkey.Valkey(port=port) as client:
                client.flushall()

    with pytest.raises(StoreError, match="has lost its rows"):
        reader.get_many(range(2000))


def test_another_database_in_a_cluster_is_refused(url: str) -> None:
    """A cluster has one."""
    with pytest.raises(ConfigError, match="only database 0"):
        ValkeyCache("scores", url + "/3").get(1)


def test_the_lock_holds_in_a_cluster(
    cluster: list[int], local_and_pushed: Any, rows_of: Any, cache: Cache, url: str
) -> None:
    """A push that another has taken over changes no pointer."""
    reader = local_and_pushed(cache, url, rows_of("a", 2000))
    cache.load(rows_of("b", 2000), key="id")
    for port in cluster:
        with valkey.Valkey(port=port) as client, suppress(valkey.ResponseError):
            client.set("lakeflow:{scores}:PUSH", "another", px=60_000)

    with pytest.raises(CommitConflictError, match="under way"):
        push(cache, url)

    assert reader.get(1)["tag"] == "a"
