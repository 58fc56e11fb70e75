"""A run id is bound to a function and all that it carries along."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs.attempts.fingerprint import fingerprint
from lakeflow_io.errors import FunctionError, PlanChangedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


def check(rows: pa.Table, flag: str) -> pa.Table:
    """The identity, which fails on the smallest shard, which runs last, until its flag is there."""
    if rows["id"][0].as_py() == 0 and not Path(flag).exists():
        raise ValueError("not now")
    return rows


def closure(flag: str, value: Any) -> Callable[..., Any]:
    """A value that the function closes over."""

    def captured(rows: pa.Table) -> pa.Table:
        return check(rows, (flag, value)[0])

    return captured


def default(flag: str, value: Any) -> Callable[..., Any]:
    """A default of a parameter."""

    def defaulted(rows: pa.Table, limit: Any = value) -> pa.Table:
        del limit
        return check(rows, flag)

    return defaulted


def keyword_default(flag: str, value: Any) -> Callable[..., Any]:
    """A default of a keyword-only parameter."""

    def keyword(rows: pa.Table, *, limit: Any = value) -> pa.Table:
        del limit
        return check(rows, flag)

    return keyword


def three(rows: pa.Table, flag: str, limit: Any) -> pa.Table:
    """What a partial binds two arguments of."""
    del limit
    return check(rows, flag)


def bound_arguments(flag: str, value: Any) -> Callable[..., Any]:
    """A partial."""
    return partial(three, flag=flag, limit=value)


class Scorer:
    """An instance whose method is the function."""

    def __init__(self, flag: str, limit: Any) -> None:
        self.flag = flag
        self.limit = limit

    def __call__(self, rows: pa.Table) -> pa.Table:
        """As an instance that is called."""
        return check(rows, self.flag)

    def score(self, rows: pa.Table) -> pa.Table:
        """As a bound method."""
        return check(rows, self.flag)


def bound_method(flag: str, value: Any) -> Callable[..., Any]:
    """A bound method."""
    return Scorer(flag, value).score


def inner_closure(flag: str, value: Any) -> Callable[..., Any]:
    """A function that closes over a function that closes over the value."""
    helper = closure(flag, value)

    def outer(rows: pa.Table) -> pa.Table:
        return helper(rows)

    return outer


MAKERS = [closure, default, keyword_default, bound_arguments, bound_method, Scorer, inner_closure]


def run(pair: Any, function: Any) -> lf.Run:
    """Over four shards, in their order."""
    return lf.foreach(pair.source.scan().shards(n=4), function, into=pair.into, run_id="code", engine="serial")


def failed(pair: Any, function: Any) -> None:
    """A run that stops before its end."""
    with pytest.raises(FunctionError, match="not now"):
        run(pair, function)


CHANGED = [(1, 2), ("a", "b"), ([1, 2], [1, 3]), ({"k": 1}, {"k": 2}), (1, 1.0), (True, 1), (None, 0)]
EQUAL = [1, "text", [1, 2], {"b": 1, "a": 2}, (1, "x"), 0.5, None]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("before", "after"), CHANGED, ids=str)
def test_a_changed_value_is_another_function(make: Callable[..., Any], before: Any, after: Any) -> None:
    """The code is the same and a value that it carries isn't."""
    assert fingerprint(make("flag", before)) != fingerprint(make("flag", after))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("value", EQUAL, ids=str)
def test_equal_values_are_the_same_function(make: Callable[..., Any], value: Any) -> None:
    """Made anew, of the same code and an equal value."""
    assert fingerprint(make("flag", value)) == fingerprint(make("flag", copy.deepcopy(value)))


@pytest.mark.parametrize(("make", "values"), zip(MAKERS, CHANGED[::-1], strict=True))
def test_a_changed_value_is_another_plan(
    pair: Any, tmp_path: Path, make: Callable[..., Any], values: tuple[Any, Any]
) -> None:
    """Refused, and nothing is written."""
    before, after = values
    flag = str(tmp_path / "flag")
    failed(pair, make(flag, after))
    Path(flag).touch()

    with pytest.raises(PlanChangedError, match="code"):
        run(pair, make(flag, before))

    assert pair.written == []


@pytest.mark.parametrize(("make", "value"), zip(MAKERS, EQUAL, strict=True))
def test_an_equal_function_made_anew_resumes(pair: Any, tmp_path: Path, make: Callable[..., Any], value: Any) -> None:
    """The same code with equal values is the same plan: what had ended doesn't run again."""
    flag = str(tmp_path / "flag")
    failed(pair, make(flag, value))
    Path(flag).touch()

    resumed = run(pair, make(flag, copy.deepcopy(value)))

    assert resumed.ran < 4
    assert list(range(40)) == pair.written


SCRIPT = """
import sys
import lakeflow as lf

words = {"one", "two", "three", "four", "five"}
table = {"x": {1, 2, 3}, "y": frozenset("abcdef")}

class Rules:
    def __init__(self, limit):
        self.limit = limit

def make(rules):
    def keep(rows, names=words):
        if rows["id"][0].as_py() == 0 and sys.argv[2] == "fail":
            raise ValueError("not now")
        assert names and table and rules.limit
        return rows
    return keep

lake = lf.connect()
source, into = (lake.table(f"{sys.argv[1]}.{name}") for name in ("source", "into"))
try:
    run = lf.foreach(source.scan().shards(n=4), make(Rules(3)), into=into, run_id="code", engine="serial")
    print(run.ran)
except lf.errors.FunctionError:
    print("failed")
"""


def test_another_process_makes_an_equal_function(pair: Any, namespace: str, tmp_path: Path) -> None:
    """Sets, instances and closures hash alike in a new process, whatever its seed for hashes."""
    import os
    import subprocess
    import sys

    script = tmp_path / "job.py"
    script.write_text(SCRIPT)

    said = [
        subprocess.run(
            [sys.executable, script, namespace, word],
            capture_output=True, text=True, timeout=240, check=False, env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed, word in (("1", "fail"), ("2", "finish"))
    ]  # fmt: skip

    assert [each.stderr for each in said] == ["", ""]
    assert said[0].stdout == "failed\n"
    assert said[1].stdout.strip() in {"1", "2", "3"}
    assert list(range(40)) == pair.written
