"""Tables with row-level deletes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from deleted_table import DeletedTable

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    import lakeflow as lf


@pytest.fixture
def table_of() -> Callable[..., DeletedTable]:
    """Deletes for a table that is there."""
    return DeletedTable


@pytest.fixture
def deleted_table(embedded: lf.Lake, namespace: str) -> Callable[..., DeletedTable]:
    """A maker of tables: an Arrow schema, and options of `create_table`."""
    made = itertools.count()

    def make(schema: pa.Schema, *, version: int = 2, row_group: int = 5, **options: Any) -> DeletedTable:
        table = embedded.create_table(f"{namespace}.t{next(made)}", schema, **options)
        return DeletedTable(table, version, row_group)

    return make
