"""lakeflow, in all the ways it has: a whole scan, shards, each column alone, and filters of every kind."""

from __future__ import annotations

import itertools
import math
import operator
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

import lakeflow as lf
from lakeflow.scan import read_shard
from lakeflow_io.errors import UnsupportedError
from readers.outcome import Refused
from readers.rows import arrow_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from readers.outcome import Read
    from readers.rows import Rows

_SHARDS = 3
_FEW_ROWS = 100  # up to which every value is filtered by
_VALUES = 3  # of a column that it is filtered by
_numbers = itertools.count()


def rows(metadata: str, read: Read) -> Rows:
    """A scan's rows, once it is certain that its other ways give the same ones."""
    try:
        table = opened(metadata)
        scan = table.scan(where=read.where, snapshot=read.snapshot)
        whole = scan.read().to_arrow()
        if whole.schema.names:
            shards = [read_shard(each) for each in scan.shards(n=_SHARDS)]
            _same("in shards", pa.concat_tables([whole.slice(0, 0), *shards]), whole)
        for name in whole.column_names:
            _same(f"column {name} alone", scan.select([name]).read().to_arrow(), whole.select([name]))
        if read.where is None and read.snapshot is None and whole.num_rows <= _FEW_ROWS:
            for condition, expected in _filters(whole):
                _same(f"where {condition}", table.scan(where=condition).read().to_arrow(), whole.filter(expected))
    except UnsupportedError as error:
        raise Refused(str(error)) from error
    return arrow_rows(whole)


def opened(metadata: str) -> lf.Table:
    """A table from its metadata file alone."""
    name, lake = f"spark.t{next(_numbers)}", _lake()
    lake.catalog.register_table(name, metadata)
    return lake.table(name)


def _lake() -> lf.Lake:
    folder = Path(_folder().name)
    lake = lf.connect(type="sql", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    lake.catalog.create_namespace_if_not_exists("spark")
    return lake


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Gone when the process ends."""
    return tempfile.TemporaryDirectory(prefix="lakeflow-interop-")


def _same(how: str, found: pa.Table, expected: pa.Table) -> None:
    difference = arrow_rows(found).difference(arrow_rows(expected))
    assert not difference, f"{how}: {difference}"


def _filters(whole: pa.Table) -> Iterator[tuple[Any, pa.Array]]:
    """Conditions on each plain column by values that are in it, and the rows that pass: nulls never do."""
    from pyiceberg import expressions as ice

    comparisons: list[tuple[Any, Callable[..., Any]]] = [
        (ice.EqualTo, operator.eq), (ice.NotEqualTo, operator.ne), (ice.LessThan, operator.lt),
        (ice.LessThanOrEqual, operator.le), (ice.GreaterThan, operator.gt), (ice.GreaterThanOrEqual, operator.ge),
    ]  # fmt: skip
    for name, column in zip(whole.column_names, whole.columns, strict=True):
        if pa.types.is_nested(column.type) or isinstance(column.type, pa.UuidType) or "." in name:
            continue  # lakeflow has no filters on these, and says so
        values = column.to_pylist()
        term = ice.Reference(name)
        yield ice.IsNull(term), pc.is_null(column)
        yield ice.NotNull(term), pc.is_valid(column)
        known = [each for each in dict.fromkeys(values) if _has_order(each, column.type)][:_VALUES]
        for value in known:
            for make, compare in comparisons:
                passing = [each is not None and compare(each, value) for each in values]
                yield make(term, value), pa.array(passing, pa.bool_())
        yield ice.In(term, known[:2]), pa.array([each in known[:2] for each in values], pa.bool_())
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            for value in known:
                passing = [each is not None and each.startswith(value[:1]) for each in values]
                yield ice.StartsWith(term, value[:1]), pa.array(passing, pa.bool_())


def _has_order(value: Any, kind: pa.DataType) -> bool:
    """Not null and not NaN; zeroes, and infinities of single precision, have tests of their own."""
    if isinstance(value, float):
        return not math.isnan(value) and value != 0 and not (pa.types.is_float32(kind) and math.isinf(value))
    return value is not None
