"""A call that can't work is refused at once, by an error that says what to change."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import FunctionError, InputError, LakeflowError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


def same(rows: pa.Table) -> pa.Table:
    """The identity."""
    return rows


def needs_two(rows: pa.Table, limit: int) -> pa.Table:
    """A second parameter without a default."""
    return rows.slice(0, limit)


def needs_keyword(rows: pa.Table, *, limit: int) -> pa.Table:
    """The same, by keyword only."""
    return rows.slice(0, limit)


def takes_all(rows: pa.Table, *more: Any, limit: int = 3, **others: Any) -> pa.Table:
    """Whatever may be given and needn't."""
    del more, others
    return rows.slice(0, limit)


def state(pair: Any) -> list[str]:
    """Everything in the output's folder that isn't Iceberg's metadata."""
    from lakeflow_io.storage import open_transport

    found = [info.uri for info in open_transport({}).list(pair.into.location)]
    return [uri for uri in found if "/metadata/" not in uri]


def test_a_table_stands_for_its_scan(pair: Any) -> None:
    """`foreach(table, ...)` runs over the default shards of all its rows."""
    run = lf.foreach(pair.source, same, into=pair.into, engine="serial")

    assert list(range(40)) == pair.written
    assert run.rows == 40


@pytest.mark.parametrize(
    "shards",
    [None, 5, "kg.source", object(), {"a": 1}, b"x", lambda: 1],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_what_is_no_input_is_refused(pair: Any, shards: Any) -> None:
    """Neither shards nor a scan nor a table."""
    with pytest.raises(InputError, match="shards"):
        lf.foreach(shards, same, into=pair.into)

    assert state(pair) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"into": "kg.x"}, "into"),
        ({"into": 5}, "into"),
        ({"into": []}, "into"),
        ({"shared": "kg.x"}, "shared"),
        ({"shared": 5}, "shared"),
        ({"shared": ["a"]}, "shared"),
        ({"params": 5}, "params"),
        ({"params": ["a"]}, "params"),
        ({"params": "limit"}, "params"),
        ({"slots": 0}, "slots"),
        ({"slots": -1}, "slots"),
        ({"slots": 1.5}, "slots"),
        ({"slots": "2"}, "slots"),
        ({"retries": -1}, "retries"),
        ({"retries": "x"}, "retries"),
        ({"run_id": 5}, "run id"),
        ({"run_id": b"x"}, "run id"),
        ({"run_id": ["x"]}, "run id"),
        ({"engine": "bogus"}, "bogus"),
        ({"engine": 5}, "5"),
        ({"engine": None}, "None"),
    ],
    ids=str,
)
@pytest.mark.parametrize("into", [True, False], ids=["into", "results"])
def test_a_wrong_option_is_refused_before_anything_is_written(
    pair: Any,
    options: dict[str, Any],
    says: str,
    into: bool,  # noqa: FBT001  (a parameter of pytest)
) -> None:
    """The message names it; no plan, no marker, no shared table and no data lie in the output."""
    given = {"into": pair.into if into else None, "engine": "serial", "run_id": "wrong", **options}

    with pytest.raises(InputError) as caught:
        lf.foreach(pair.source.scan().shards(n=4), takes_all, **given)

    assert says in str(caught.value)
    assert state(pair) == []


def test_a_table_as_shared_is_refused_or_named(pair: Any) -> None:
    """`shared=` is a mapping by parameter; one table alone has no name."""
    for given in (pair.source, pair.source.scan().read().to_arrow()):
        with pytest.raises(InputError, match="shared"):
            lf.foreach(pair.source.scan().shards(n=4), same, into=pair.into, shared=given)

    assert state(pair) == []


@pytest.mark.parametrize("function", [needs_two, needs_keyword])
def test_a_parameter_that_gets_no_value_is_named(pair: Any, function: Callable[..., Any]) -> None:
    """Without `params=` or `shared=` for it, the function could never be called."""
    with pytest.raises(InputError, match="limit"):
        lf.foreach(pair.source.scan().shards(n=4), function, into=pair.into)

    assert state(pair) == []


@pytest.mark.parametrize(
    ("function", "params"), [(needs_two, {"limit": 3}), (needs_keyword, {"limit": 3}), (takes_all, None)]
)
def test_a_parameter_that_gets_a_value_is_fine(pair: Any, function: Callable[..., Any], params: Any) -> None:
    """By params or by its default; `*args` and `**kwargs` need nothing."""
    lf.foreach(pair.source.scan().shards(n=4), function, into=pair.into, params=params, engine="serial")

    assert len(pair.written) == 12


@pytest.mark.parametrize(
    "value",
    [{1: 2}, {"a": {1: 2}}, (1, 2), {"a": (1, 2)}, [(1,)], {None: 1}, {True: 1}, {1.5: 1}, {1, 2}, b"x"],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)  # fmt: skip
def test_params_that_json_changes_are_refused(pair: Any, value: Any) -> None:
    """The plan is JSON: what comes back from it as something else, or doesn't, is no parameter."""
    with pytest.raises(InputError, match="params"):
        lf.foreach(pair.source.scan().shards(n=4), takes_all, into=pair.into, params={"limit": value})

    assert state(pair) == []


@pytest.mark.parametrize(
    "value",
    [1, 1.5, "ü", None, True, [1, [2]], {"a": {"b": [None]}}, -(2**60)],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_params_that_json_keeps_arrive_as_they_are(pair: Any, value: Any) -> None:
    """Same value, same type, all the way to the function."""

    def echo(rows: pa.Table, given: Any) -> Any:
        del rows
        return given

    run = lf.foreach(pair.source.scan().shards(n=2), echo, params={"given": value}, engine="serial")

    assert [repr(value)] * 2 == [repr(each) for each in run.results]


def leaves(rows: pa.Table) -> pa.Table:
    """A function that ends the process, it thinks."""
    sys.exit(rows.num_rows)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ["serial", "threads", "dask"])
@pytest.mark.parametrize("into", [True, False], ids=["into", "results"])
def test_a_function_that_exits_is_a_function_error(
    pair: Any,
    engine: Any,
    into: bool,  # noqa: FBT001  (a parameter of pytest)
    request: pytest.FixtureRequest,
) -> None:
    """`sys.exit` in a function ends neither the driver nor a worker: it names the shard."""
    if engine == "dask":
        engine = request.getfixturevalue("dask_client")
    function = travelling(leaves)

    with pytest.raises(FunctionError, match=r"shard-0000\d.*SystemExit"):
        lf.foreach(pair.source.scan().shards(n=4), function, into=pair.into if into else None, engine=engine)

    assert pair.written == []


def travelling(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy that a worker takes by value, since it can't import this file."""
    import types

    copy = types.FunctionType(function.__code__, {"sys": sys, "threading": threading}, function.__name__)
    copy.__module__ = "__main__"
    return copy


def raises_unpicklable(rows: Any) -> Any:
    """An exception that holds a lock and a constructor of its own."""

    class Locked(Exception):  # noqa: N818  (named for what it holds)
        def __init__(self, first: Any, second: Any) -> None:
            super().__init__("all is lost")
            self.lock = threading.Lock()
            self.both = (first, second)

    raise Locked(rows, 2)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("engine", ["serial", "threads", "dask"])
@pytest.mark.parametrize("into", [True, False], ids=["into", "results"])
def test_an_exception_that_cannot_travel_is_named(
    pair: Any,
    engine: Any,
    into: bool,  # noqa: FBT001  (a parameter of pytest)
    request: pytest.FixtureRequest,
) -> None:
    """What the function raised can't be pickled: its name, message, shard and traceback come all the same."""
    if engine == "dask":
        engine = request.getfixturevalue("dask_client")
    function = travelling(raises_unpicklable)

    with pytest.raises(FunctionError, match=r"shard-0000\d.*Locked.*all is lost") as caught:
        lf.foreach(pair.source.scan().shards(n=4), function, into=pair.into if into else None, engine=engine)

    assert "Locked" in caught.value.traceback_text


@pytest.mark.timeout(240)
def test_a_result_that_cannot_travel_is_named(pair: Any, dask_client: Any) -> None:
    """A lock as a result can't be sent back: an error of ours names it, and nothing hangs."""

    def lock(rows: Any) -> Any:
        del rows
        import threading

        return threading.Lock()

    with pytest.raises(LakeflowError, match=r"shard-0000\d"):
        lf.foreach(pair.source.scan().shards(n=2), lock, engine=dask_client)
