"""A function that fails: whose, where, why, and nothing left behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import FunctionError, InputError, LakeflowError, SchemaError, StoreError

if TYPE_CHECKING:
    import pyarrow as pa


def run(pair: Any, function: Any, **options: Any) -> lf.Run:
    """Over the four shards of the pair."""
    given = {"into": pair.into, "engine": "serial", "run_id": "failing", **options}
    return lf.foreach(pair.source.scan().shards(n=4), function, **given)


def raises(rows: pa.Table) -> pa.Table:
    """A mistake in the caller's code."""
    del rows
    raise KeyError("titel")


def fails_late(rows: pa.Table) -> Any:
    """A generator that fails after its first batch."""
    yield rows
    raise KeyError("titel")


@pytest.mark.parametrize("function", [raises, fails_late])
@pytest.mark.parametrize("engine", ["serial", "threads", "dask"])
def test_an_exception_names_function_shard_and_line(
    pair: Any, function: Any, engine: str, request: pytest.FixtureRequest
) -> None:
    """The message has what was raised and where; the traceback travels as text, also from another process."""
    if engine == "dask":
        import cloudpickle

        engine = request.getfixturevalue("dask_client")
        function = cloudpickle.loads(by_value(function))

    with pytest.raises(FunctionError) as caught:
        run(pair, function, engine=engine)

    message = caught.value.message
    assert "shard-0000" in message
    assert f"{function.__name__} raised KeyError: 'titel'" in message
    assert "test_function_failures.py:" in message
    assert 'raise KeyError("titel")' in caught.value.traceback_text
    assert (pair.written, pair.files) == ([], [])


def by_value(function: Any) -> bytes:
    """Pickled so that a worker doesn't need this file as a module."""
    import sys

    import cloudpickle

    module = sys.modules[function.__module__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def takes_x(rows: pa.Table, x: Any) -> pa.Table:
    """A second parameter."""
    del x
    return rows


def test_the_traceback_is_kept_as_text(pair: Any) -> None:
    """The exception itself may be of a type that can't travel: its traceback does, as text."""
    with pytest.raises(FunctionError) as caught:
        run(pair, raises)

    assert "KeyError: 'titel'" in caught.value.traceback_text
    assert caught.value.__cause__ is None


def test_a_function_is_not_retried(pair: Any) -> None:
    """Code that fails fails again: the first shard's failure ends the run."""
    calls = pair.into.location.removeprefix("file://") + "-calls"

    def count(rows: pa.Table) -> pa.Table:
        with Path(calls).open("a") as file:
            file.write("x")
        raise ValueError(rows.num_rows)

    with pytest.raises(FunctionError):
        run(pair, count, retries=3)

    assert Path(calls).read_text() == "x"


@pytest.mark.parametrize("value", [None, 7, "text", [1, 2], []])
def test_a_result_without_columns_is_refused(pair: Any, value: Any) -> None:
    """None and numbers hold no columns: the message says what came back from which shard."""
    with pytest.raises(FunctionError, match=r"shard-0000\d: .*returned") as caught:
        run(pair, lambda _: value)

    assert "a pyarrow Table" in str(caught.value.hint)
    assert (pair.written, pair.files) == ([], [])


def test_a_result_that_does_not_fit_is_refused(pair: Any) -> None:
    """Every column that doesn't fit is in the message, with function and shard."""
    with pytest.raises(SchemaError) as caught:
        run(pair, lambda rows: rows.rename_columns(["id", "txt", "half"]).drop_columns("half"))

    message = caught.value.message
    assert "shard-0000" in message
    assert "lambda" in message
    assert "unknown column 'txt'" in message
    assert (pair.written, pair.files) == ([], [])


def test_a_function_that_cannot_travel_is_refused_at_once(pair: Any) -> None:
    """A lock in a closure can't be pickled: said before anything runs."""
    lock = threading.Lock()

    def locked(rows: pa.Table) -> pa.Table:
        with lock:
            return rows

    with pytest.raises(FunctionError, match="locked can't be sent to workers"):
        run(pair, locked)


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (lambda: None, {}, "takes no argument"),
        (7, {}, "not a function"),
        (lambda rows: rows, {"params": {"limit": 3}}, "unexpected keyword argument 'limit'"),
        (lambda rows: rows, {"shared": {"names": {"a": [1]}}}, "unexpected keyword argument 'names'"),
        (lambda rows: rows, {"params": {"rows": 3}}, "multiple values for argument 'rows'"),
        (takes_x, {"shared": {"x": 7}}, "shared"),
        (takes_x, {"params": {"x": object()}}, "not JSON"),
        (lambda rows: rows, {"run_id": "../up"}, "run id"),
        (lambda rows: rows, {"run_id": ""}, "run id"),
        (lambda rows: rows, {"engine": "spark"}, "No engine"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_runs(
    pair: Any, function: Any, options: dict[str, Any], says: str
) -> None:
    """Each argument is checked, and named, and nothing is written."""
    with pytest.raises(InputError, match=says):
        run(pair, function, **options)

    assert (pair.written, pair.files) == ([], [])


def test_an_error_of_ours_passes_as_it_is(pair: Any) -> None:
    """A function that raises one of lakeflow's errors raises that one."""

    def deny(rows: pa.Table) -> pa.Table:
        raise InputError(f"{rows.num_rows} rows are too many.")

    with pytest.raises(LakeflowError, match="too many"):
        run(pair, deny)


def test_a_store_that_recovers_is_retried(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A StoreError may pass: the attempt is made again, and the run succeeds."""
    from lakeflow.runs.scheduling import ladder

    monkeypatch.setattr(ladder, "_BACKOFF_BASE_SECONDS", 0.0)
    marker = pair.into.location.removeprefix("file://") + "-up"

    def flaky(rows: pa.Table) -> pa.Table:
        if not Path(marker).exists():
            Path(marker).touch()
            raise StoreError("The store is down.")
        return rows

    run(pair, flaky, retries=1)

    assert list(range(40)) == pair.written


@pytest.mark.parametrize("retries", [0, 2])
def test_a_store_that_stays_down_ends_the_run(pair: Any, retries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its retries a shard's failure is the run's."""
    from lakeflow.runs.scheduling import ladder

    monkeypatch.setattr(ladder, "_BACKOFF_BASE_SECONDS", 0.0)

    def down(rows: pa.Table) -> pa.Table:
        raise StoreError(f"The store is down for {rows.num_rows}.")

    with pytest.raises(StoreError, match="down for 10"):
        run(pair, down, retries=retries)
