"""Tables to run over, on both kinds of catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lakeflow_io.storage import open_transport
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    import lakeflow as lf


@dataclass
class Pair:
    """An input of four files with ten rows each, and an empty output of the same columns."""

    source: lf.Table
    into: lf.Table

    @property
    def written(self) -> list[int]:
        """The ids in the output, as a new reader sees them."""
        return sorted(self.into.refresh().scan(columns=["id"]).read().to_arrow()["id"].to_pylist())

    @property
    def files(self) -> list[str]:
        """The names of the output's data files in the store, live or not."""
        transport = open_transport(store_properties(self.into.iceberg.io.properties))
        return sorted(info.uri for info in transport.list(f"{self.into.location}/data"))

    def state(self, run_id: str) -> list[str]:
        """The names in a run's folder."""
        folder = f"{self.into.location}/_lakeflow/runs/{run_id}"
        transport = open_transport(store_properties(self.into.iceberg.io.properties))
        return sorted(info.uri.removeprefix(folder + "/") for info in transport.list(folder))


def make_pair(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> Pair:
    """Both tables, the input with its rows."""
    source = lake.create_table(f"{namespace}.source", numbers(1).schema)
    for start in range(0, 40, 10):
        source.append(numbers(10, start))
    return Pair(source, lake.create_table(f"{namespace}.into", numbers(1).schema))


@pytest.fixture
def pair(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> Pair:
    """Input and output in the embedded lake."""
    return make_pair(embedded, namespace, numbers)


@pytest.fixture
def any_pair(lake: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> Pair:
    """Input and output in each kind of lake."""
    return make_pair(lake, namespace, numbers)
