"""Checks: what they let through, what they say, and that a failed one changes nothing."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lakeflow as lf
import lakeflow.cache.building.build as build_module
from lakeflow.cache import Cache, OpenVersion, drift_from_previous, max_null, min_rows
from lakeflow.cache.publishing.checks import _Moments, _standardised
from lakeflow.runs.outputs.sink import RunLabel
from lakeflow_io.errors import CheckFailedError, InputError

if TYPE_CHECKING:
    from pathlib import Path

LABEL = RunLabel(run_id="run-1", plan_digest="d1", source=None, shards=1, rows_in=3, seconds=1.0)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return a cache without a version, whose shards have few rows."""
    monkeypatch.setattr(build_module, "SHARD_ROWS", 3)
    return Cache("scores", tmp_path)


def scores(*values: Any, kind: pa.DataType | None = None) -> pa.Table:
    """Return one row per value."""
    return pa.table({"id": pa.array(range(len(values)), pa.int64()), "score": pa.array(values, kind)})


def test_enough_rows_pass(cache: Cache) -> None:
    """`min_rows` counts all shards, and says both numbers."""
    cache.load(scores(*range(10)), key="id", checks=[min_rows(10)])

    with pytest.raises(CheckFailedError, match=r"min_rows\(11\): there are 10 rows; the limit is 11"):
        cache.load(scores(*range(10)), key="id", checks=[min_rows(11)])


@pytest.mark.parametrize(
    "missing", [pa.array([1, None, 2, 3]), pa.array([1.0, math.nan, 2, 3]), pa.array(["a", None, "b", "c"])], ids=str
)
def test_few_nulls_pass(cache: Cache, missing: pa.Array) -> None:
    """`max_null` counts nulls and NaN, and names column, figure and limit."""
    table = pa.table({"id": range(4), "score": missing})
    cache.load(table, key="id", checks=[max_null("score", 0.25)])

    with pytest.raises(CheckFailedError) as caught:
        cache.load(table, key="id", checks=[max_null("score", 0.2)])
    assert "max_null('score', 0.2): column 'score' is missing in 1 of 4 rows, a share of 0.25; the limit is 0.2" in str(
        caught.value
    )


def test_an_empty_version_has_no_nulls(cache: Cache) -> None:
    """No row is missing anything; drift from a version with rows is another matter."""
    empty = scores(kind=pa.float64())
    cache.load(empty, key="id", checks=[max_null("score", 0), drift_from_previous("score", 0)])
    cache.load(scores(1.0), key="id", checks=[drift_from_previous("score", 0)])

    with pytest.raises(CheckFailedError, match="no value left; its mean was 1"):
        cache.load(empty, key="id", checks=[drift_from_previous("score", 9)])


@pytest.mark.parametrize(
    ("before", "now", "drift"),
    [
        ([1.0, 3.0], [1.0, 3.0], 0),
        ([1.0, 3.0], [2.0, 4.0], 1),
        ([1, 3, None], [3, 5], 2),
        ([1.0, 3.0, math.nan], [2.0, 4.0, None], 1),
        ([Decimal("1.5"), Decimal("3.5")], [Decimal("2.5"), Decimal("4.5")], 1),
        ([False, True], [True, True], math.sqrt(2)),
        ([5, 5], [5], 0),
        ([5, 5], [6], math.inf),
        ([5.0, 6.0], [math.inf, 1.0], math.nan),
    ],
)
def test_a_mean_may_move_by_the_limit(cache: Cache, before: list[Any], now: list[Any], drift: float) -> None:
    """`drift_from_previous` is the standardised difference of means; NaN is over every limit."""
    first = cache.load(scores(*before), key="id", checks=[drift_from_previous("score", 0)])
    if drift:
        below = drift * 0.999 if math.isfinite(drift) else 1e9
        with pytest.raises(CheckFailedError, match="column 'score' has the mean") as caught:
            cache.load(scores(*now), key="id", checks=[drift_from_previous("score", below)])
        assert f"a drift of {drift:.4g}; the limit is {below:g}" in str(caught.value)
        assert [first] == cache.versions()

    if not math.isnan(drift):
        cache.load(scores(*now), key="id", checks=[drift_from_previous("score", drift * 1.001)])


@given(before=VALUES, now=VALUES, cut=st.integers(0, 30))
def test_moments_add_up(before: list[float], now: list[float], cut: int) -> None:
    """Counted in pieces, a drift is what the statistics of all values give."""
    import numpy as np

    moments = [
        _Moments().with_values(np.array(values[:cut])).with_values(np.array(values[cut:])) for values in (before, now)
    ]

    spread = math.sqrt((statistics.pvariance(before) + statistics.pvariance(now)) / 2)
    distance = abs(statistics.fmean(before) - statistics.fmean(now))
    if spread > 1e-3:
        assert math.isclose(_standardised(*moments), distance / spread, rel_tol=1e-6, abs_tol=1e-9)


@pytest.mark.parametrize("column", ["nope", "name"])
def test_a_column_that_cannot_be_checked_is_a_failure(cache: Cache, column: str) -> None:
    """One that isn't there, and text of which there is no mean, by name."""
    table = pa.table({"id": [1], "name": ["a"]})
    cache.load(table, key="id")
    check = max_null(column, 1) if column == "nope" else drift_from_previous(column, 1)

    with pytest.raises(CheckFailedError, match=repr(column)) as failed:
        cache.load(table, key="id", checks=[check])

    assert not failed.value.message.endswith("..")


def test_a_new_column_has_nothing_to_drift_from(cache: Cache) -> None:
    """A column that the previous version doesn't have passes."""
    cache.load(pa.table({"id": [1]}), key="id")

    assert cache.load(scores(1.0), key="id", checks=[drift_from_previous("score", 0)]).rows == 1


def test_any_callable_is_a_check(cache: Cache) -> None:
    """It reads both versions by key, and by shard; what it raises or returns is in the error, for all that fail."""
    seen: list[Any] = []
    first = cache.load(scores(1, 2, 3, 4, 5), key="id", checks=[lambda new, old: seen.append((new.rows, old))])

    def keeps_its_rows(new: OpenVersion, old: OpenVersion | None) -> None:
        assert old is not None
        seen.append((old.id, old.get(0), new.get(0), new.schema.names))
        seen.append(sorted(n for batch in new.batches(["score"]) for n in batch.column(0).to_pylist()))
        assert new.rows >= old.rows, "rows went away"

    def raises(*_: object) -> str:
        raise ZeroDivisionError

    with pytest.raises(CheckFailedError) as caught:
        cache.load(scores(7, 8), key="id", checks=[keeps_its_rows, min_rows(1), raises, lambda *_: "never"])

    assert [(5, None), (first.id, {"id": 0, "score": 1}, {"id": 0, "score": 7}, ["id", "score"]), [7, 8]] == seen
    assert "3 of 4 checks failed" in str(caught.value)
    assert "keeps_its_rows: rows went away" in str(caught.value)
    assert "raises: ZeroDivisionError; <lambda>: never" in str(caught.value)
    assert first.id in str(caught.value)
    assert isinstance(caught.value.__cause__, AssertionError)


@pytest.mark.parametrize("answer", [True, False, "", 7])
def test_a_check_that_answers_in_riddles_is_refused(cache: Cache, answer: Any) -> None:
    """Neither True nor False says whether all is well."""
    with pytest.raises(InputError, match=f"returned {answer!r}"):
        cache.load(scores(1), key="id", checks=[lambda *_: answer])
    assert cache.versions() == []


@pytest.mark.parametrize("limit", [-0.1, 1.1, math.nan])
def test_limits_that_cannot_be_are_refused(limit: float) -> None:
    """When the check is made, not when it is run."""
    with pytest.raises(InputError):
        max_null("score", limit)
    with pytest.raises(InputError):
        drift_from_previous("score", -abs(limit))
    no_number: Any = "3"
    with pytest.raises(InputError):
        min_rows(no_number)


@pytest.mark.parametrize("checks", [min_rows(1), None, "x", [None], ["min_rows"]], ids=str)
def test_what_is_no_list_of_checks_is_refused(cache: Cache, checks: Any) -> None:
    """Before anything is built."""
    with pytest.raises(InputError, match="checks="):
        cache.load(scores(1), key="id", checks=checks)
    with pytest.raises(InputError, match="checks="):
        cache.sink("id", checks)
    assert cache.versions() == []


def test_a_failed_check_changes_nothing(cache: Cache, tmp_path: Path) -> None:
    """The old version is read on, the new one's folder goes, and the same data without the check is published."""
    old = cache.load(scores(1, 2), key="id")

    with pytest.raises(CheckFailedError, match=old.id):
        cache.load(scores(3), key="id", run_id="r", checks=[min_rows(2)])

    assert [old] == cache.versions()
    assert [old.id] == [folder.name for folder in (tmp_path / "scores" / "versions").iterdir()]
    assert cache.load(scores(3), key="id", run_id="r").current


def test_a_failed_check_leaves_a_runs_segments(cache: Cache) -> None:
    """What workers computed is still there for the same run with other checks; a rerun then is a no-op."""
    staged = cache.sink("id").writer().write("run-1-0-a0", scores(1, 2, 3))

    with pytest.raises(CheckFailedError):
        cache.sink("id", [min_rows(4)]).publish(LABEL, staged)
    assert cache.versions() == []
    published = cache.sink("id", [min_rows(3)]).publish(LABEL, staged)
    assert published == cache.sink("id", [min_rows(4)]).publish(LABEL, staged)


def test_checks_stop_a_precomputation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`precompute` publishes nothing; the same run with a check that holds calls the function no more."""
    monkeypatch.chdir(tmp_path)
    table = lf.connect().create_table("kg.titles", pa.schema([("id", pa.int64())]))
    table.append(pa.table({"id": [1, 2, 3]}))
    cache, calls = lf.Cache("scores"), tmp_path / "calls"

    def score(rows: pa.Table) -> pa.Table:
        with calls.open("a") as file:
            file.write(f"{rows.num_rows} rows\n")
        return rows.append_column("score", pa.array([0.5] * rows.num_rows))

    with pytest.raises(CheckFailedError, match="there are 3 rows"):
        lf.precompute(
            table.scan(), score, cache=cache, key="id", run_id="r", engine="serial", checks=[lf.cache.min_rows(4)]
        )
    assert cache.versions() == []
    lf.precompute(table.scan(), score, cache=cache, key="id", run_id="r", engine="serial", checks=[min_rows(3)])

    assert calls.read_text() == "3 rows\n"
    assert cache.get(2) == {"id": 2, "score": 0.5}


def test_checks_see_what_is_replaced(cache: Cache, tmp_path: Path) -> None:
    """Where another version is published while checks run, they run again beside that one."""
    versions = [cache.load(scores(1.0), key="id").id]
    seen: list[str | None] = []

    def check(_: OpenVersion, old: OpenVersion | None) -> None:
        seen.append(old and old.id)
        if len(seen) == 1:
            versions.append(Cache("scores", tmp_path).load(scores(2.0), key="id").id)

    versions.append(cache.load(scores(3.0), key="id", checks=[check]).id)

    assert versions[:2] == seen
    assert versions == [version.id for version in cache.versions()]


def test_a_slow_check_holds_nobody_up(cache: Cache, tmp_path: Path) -> None:
    """While it runs, others publish and roll back."""
    cache.load(scores(1.0), key="id")
    said: list[Any] = []

    def check(*_: object) -> None:
        if not said:
            other = Cache("scores", tmp_path)
            other.load(scores(2.0), key="id")
            said.append(other.rollback().current)

    cache.load(scores(3.0), key="id", checks=[check])

    assert said == [True]
    assert cache.get(0) == {"id": 0, "score": 3.0}
