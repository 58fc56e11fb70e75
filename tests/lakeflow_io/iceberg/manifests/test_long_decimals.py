"""Bounds and literals of decimals that are longer than a machine's word are compared to their last digit."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyiceberg.expressions import EqualTo, In, NotIn

if TYPE_CHECKING:
    import lakeflow as lf

LONG = Decimal("123456789012345678.25")
NEAR = Decimal("123456789012345678.26")


@pytest.mark.parametrize("precision", [20, 38])
@pytest.mark.parametrize("partitioned", [False, True])
def test_lists_of_long_decimals(embedded: lf.Lake, precision: int, partitioned: bool) -> None:  # noqa: FBT001
    """Beside short ones and negative ones, of columns and of partitions: just the rows, and no file too many."""
    schema = pa.schema([("d", pa.decimal128(precision, 2))])
    table = embedded.create_table("kg.decimals", schema, partition_by=["d"] if partitioned else [])
    values = [LONG, NEAR, -LONG, Decimal("1.25"), Decimal("-3.00")]
    for value in values:
        table.append(pa.table({"d": [value]}, schema=schema))

    for wanted in ([LONG, Decimal("1.25")], [NEAR, -LONG], [LONG, Decimal("-3.00"), Decimal("7.00")], [LONG]):
        scan = table.scan(where=In("d", wanted))
        rest = table.scan(where=NotIn("d", wanted)).read().to_arrow()["d"].to_pylist()

        assert sorted(scan.read().to_arrow()["d"].to_pylist()) == sorted(set(wanted) & set(values))
        assert len(scan.pieces) == len(set(wanted) & set(values))
        assert sorted(rest) == sorted(set(values) - set(wanted))
    assert table.scan(where=EqualTo("d", NEAR)).read().to_arrow()["d"].to_pylist() == [NEAR]
