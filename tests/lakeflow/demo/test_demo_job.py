"""The main job, small: two countries, on both kinds of lake."""

from __future__ import annotations

import pyarrow as pa
import pytest

import lakeflow as lf
from lakeflow.demo.job import run_demo
from lakeflow.demo.seaweed import run_seaweed
from lakeflow_io.errors import AlreadyExistsError, InputError

COUNTRIES = ("AT", "CH")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished demo in an embedded lake: the lake, the cache, the result, the evaluation, what was said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEFLOW_HOME", str(tmp_path_factory.mktemp("lake")))
        lake, cache, said = lf.connect(), lf.Cache("demo"), []
        result, evaluation = run_demo(lake, cache, engine="threads", countries=COUNTRIES, say=said.append)
        yield lake, cache, result, evaluation, said


def test_demo_reaches_its_figures(done):
    """The job finds most places from names alone, in one commit."""
    lake, _, result, _, _ = done

    matches = lake.table("kg.matches")

    assert result.f1 >= 0.62
    assert result.pairs == len(lake.table("kg.pairs").scan().read())
    assert result.matches == len(matches.scan().read())
    assert result.match_snapshots == 1
    assert matches.snapshot.id == result.match_snapshot_id


def test_expected_f1_is_near_the_real_one(done):
    """The F1 that the first catalogue promises is what the truth shows: nothing leaked into the fit."""
    *_, result, _, said = done

    expected = float(next(line for line in said if line.startswith("fit")).rpartition(": ")[2].rstrip(")"))

    assert abs(expected - result.f1) < 0.06


def test_pairs_hold_integers_only(done):
    """kg.pairs carries ids and weights, no strings, and every pair once."""
    lake, *_ = done

    pairs = lake.table("kg.pairs").scan().read().to_arrow()

    assert {field.type for field in pairs.schema} == {pa.int32()}
    assert pairs.select(["alias_id", "name_id"]).group_by(["alias_id", "name_id"]).aggregate([]).num_rows == len(pairs)


def test_blocking_keeps_to_the_region(done):
    """Every pair is of one country and one region."""
    lake, *_ = done
    tables = {
        name: lake.table(f"kg.{name}").scan().read().to_polars() for name in ("pairs", "names", "places", "aliases")
    }

    joined = (
        tables["pairs"]
        .join(tables["aliases"], on="alias_id")
        .join(tables["names"].drop("name"), on="name_id")
        .join(tables["places"], on="place_id", suffix="_of_place")
    )

    assert joined.height == tables["pairs"].height
    assert joined.filter(
        (joined["country"] != joined["country_of_place"]) | (joined["admin1"] != joined["admin1_of_place"])
    ).is_empty()


def test_every_failure_is_explained(done):
    """The kinds of failures add up to all aliases that did not get their place."""
    lake, _, result, evaluation, _ = done
    aliases = len(lake.table("kg.aliases").scan().read())

    explained = sum(failure.wrong + failure.missed for failure in evaluation.failures)

    assert explained == aliases - round(evaluation.recall * aliases)
    assert sum(failure.wrong for failure in evaluation.failures) == result.matches - round(evaluation.recall * aliases)


def test_cache_answers_what_was_matched(done):
    """Every alias that was matched can be looked up, and gets a place of the demo."""
    lake, cache, *_ = done
    matched = lake.table("kg.matches").scan().read().to_polars()

    answers = cache.get_many(matched["alias"].to_list())

    assert answers["found"].to_pylist() == [True] * matched.height
    assert cache.get(matched["alias"][0])["country"] in COUNTRIES


def test_second_demo_does_nothing_again(done):
    """A demo in the same place finds everything there: the same snapshot, the same version."""
    lake, cache, result, *_ = done
    said: list[str] = []

    again, _ = run_demo(lake, cache, engine="threads", countries=COUNTRIES, say=said.append)

    assert (again.match_snapshot_id, again.match_snapshots) == (result.match_snapshot_id, 1)
    assert again.cache_version == result.cache_version
    assert again.pairs_per_second == result.pairs_per_second
    assert sum("there already" in line for line in said) == 4


def test_demo_about_something_else_is_refused(done):
    """Tables of another demo are not mixed with this one."""
    lake, cache, *_ = done

    with pytest.raises(AlreadyExistsError, match="--fresh"):
        run_demo(lake, cache, engine="serial", countries=("AT",), say=lambda _line: None)


def test_unknown_country_touches_nothing(done):
    """A country without places is an error before anything is dropped."""
    lake, cache, result, *_ = done

    with pytest.raises(InputError, match="XX"):
        run_demo(lake, cache, engine="serial", countries=("XX",), fresh=True, say=lambda _line: None)

    assert lake.table("kg.matches").snapshot.id == result.match_snapshot_id


def test_foreign_tables_are_not_dropped(tmp_path, monkeypatch):
    """A table kg.places of somebody else survives even --fresh."""
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path))
    lake = lf.connect()
    lake.create_table("kg.places", pa.schema([("mine", pa.int64())])).append({"mine": [1]})

    with pytest.raises(AlreadyExistsError, match="not the demo's"):
        run_demo(lake, lf.Cache("demo"), engine="serial", countries=("AT",), fresh=True, say=lambda _line: None)

    assert lake.table("kg.places").scan().read().to_pylist() == [{"mine": 1}]


def test_demo_on_s3_finds_the_same(done, tmp_path):
    """The same job on a real S3 server, a real REST catalog and Dask workers comes to the same figures."""
    _, _, result, *_ = done

    with run_seaweed(tmp_path / "s3") as server:
        lake = lf.connect(**server.catalog_properties)
        there, _ = run_demo(
            lake, lf.Cache("demo", tmp_path / "caches"), engine="dask", countries=COUNTRIES, say=lambda _line: None
        )

    assert (there.pairs, there.matches, there.f1) == (result.pairs, result.matches, result.f1)
    assert there.match_snapshots == 1
