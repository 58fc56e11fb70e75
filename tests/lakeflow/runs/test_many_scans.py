"""Shards are told apart by what they read, not by their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs.plan import described_works
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


@pytest.fixture
def second(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Another input, of the ids from 1000 to 1039."""
    made = embedded.create_table(f"{namespace}.second", numbers(1).schema)
    for start in range(1000, 1040, 10):
        made.append(numbers(10, start))
    return made


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


@pytest.mark.parametrize("engine", ["serial", "threads"])
def test_shards_of_two_scans_are_one_input(pair: Any, second: lf.Table, engine: str) -> None:
    """Both scans number their shards from 0: every row of both is written, once."""
    shards = pair.source.scan().shards(n=4) + second.scan().shards(n=4)

    run = lf.foreach(shards, same, into=pair.into, engine=engine, run_id="two")

    assert [*range(40), *range(1000, 1040)] == pair.written
    assert (run.shards, run.ran, run.rows) == (8, 8, 80)


@pytest.mark.parametrize("engine", ["serial", "threads"])
def test_values_of_two_scans_are_in_order(pair: Any, second: lf.Table, engine: str) -> None:
    """Results stand where their shards stood, whichever scan a shard is of."""
    first, other = pair.source.scan().shards(n=4), second.scan().shards(n=4)
    shards = [other[2], *first, *other[:2]]

    run = lf.foreach(shards, lambda rows: rows["id"].to_pylist(), engine=engine)

    assert [read_ids(shard) for shard in shards] == run.results


def read_ids(shard: lf.Shard) -> list[int]:
    """The ids of one shard, read alone."""
    from lakeflow.scan import read_shard

    return read_shard(shard)["id"].to_pylist()


@pytest.mark.parametrize("into", [True, False])
def test_one_shard_twice_is_refused(pair: Any, into: bool) -> None:  # noqa: FBT001  (a parameter of pytest)
    """Its rows would be written twice, or one of its two results lost: said before anything runs."""
    shards = pair.source.scan().shards(n=4)

    with pytest.raises(InputError, match=r"twice|more than once"):
        lf.foreach([*shards, shards[1]], same, into=pair.into if into else None, engine="serial")

    assert (pair.written, pair.files) == ([], [])


def test_the_rest_of_two_scans_runs_again(pair: Any, second: lf.Table, tmp_path: Any) -> None:
    """A marker of one scan's shard is never taken for the other's."""
    shards = pair.source.scan().shards(n=2) + second.scan().shards(n=2)
    flag = tmp_path / "flag"

    def fails_once(rows: pa.Table) -> pa.Table:
        if rows["id"][0].as_py() >= 1000 and not flag.exists():
            raise ValueError("not now")
        return rows

    with pytest.raises(lf.errors.FunctionError, match="not now"):
        lf.foreach(shards, fails_once, into=pair.into, engine="serial", run_id="two")
    flag.touch()
    lf.foreach(shards, fails_once, into=pair.into, engine="serial", run_id="two")

    assert [*range(40), *range(1000, 1040)] == pair.written


def scans(pair: Any, second: lf.Table) -> dict[str, lf.Scan]:
    """Scans that differ in one thing each from the first."""
    return {
        "plain": pair.source.scan(),
        "filter": pair.source.scan(where="id >= 0"),
        "other filter": pair.source.scan(where="id >= 0 or id < 5"),
        "columns": pair.source.scan(columns=["id"]),
        "columns in another order": pair.source.scan(columns=["text", "id", "half"]),
        "filter on another column": pair.source.scan(columns=["id"], where="half >= 0"),
        "source": second.scan(),
    }


def digest(shards: list[lf.Shard]) -> str:
    """What a plan has of them."""
    return str(described_works(shards)["shards_digest"])


@pytest.mark.parametrize("subset", [slice(None), slice(1, None), slice(0, 1)], ids=["all", "rest", "first"])
def test_a_digest_tells_scans_apart(pair: Any, second: lf.Table, subset: slice) -> None:
    """Filter, columns and source are in the digest of any subset of the shards."""
    digests = {name: digest(scan.shards(n=4)[subset]) for name, scan in scans(pair, second).items()}

    assert len(digests) == len(set(digests.values()))


def test_a_digest_is_repeatable(pair: Any, second: lf.Table) -> None:
    """The same scans, made anew, have the same digests."""
    once, again = ([digest(each.shards(n=4)[1:]) for each in scans(pair, second).values()] for _ in range(2))

    assert once == again
