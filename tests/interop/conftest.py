"""One Spark session with Iceberg, the tables it makes, and a check of what every engine reads of them."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from readers import READERS, Read, arrow_rows, outcome, spark_rows
from readers.document import cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from readers import Outcome

    import lakeflow as lf

_numbers = itertools.count()
_measured: dict[str, dict[str, Outcome | None]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cells` shows what was measured, as rows for docs/iceberg.md."""
    parser.addoption("--cells", action="store_true", help="print the cells that docs/iceberg.md should have")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The rows, where they were asked for."""
    if config.getoption("--cells"):
        for test, found in _measured.items():
            words = (each.word if each else "writes" for each in found.values())
            terminalreporter.write_line(f"| `{test}` | " + " | ".join(words) + " |")
            for name, each in found.items():
                if each and each.detail:
                    terminalreporter.write_line(f"    {name}: {each.detail}")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on two threads of this machine; its catalog `ice` is a folder."""
    from pyspark.sql import SparkSession

    # Spark hands points in time over in the zone of the process.
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    package = find_spec("snowpark_connect_deps_iceberg")
    assert package is not None
    jars = Path(next(iter(package.submodule_search_locations or ()))) / "jars"
    folder = tmp_path_factory.mktemp("spark")
    options = {
        "jars": ",".join(str(each) for each in jars.glob("*_2.12-*.jar")),  # the Scala that PySpark brings
        "driver.memory": "1g",
        "driver.host": "127.0.0.1",
        "driver.bindAddress": "127.0.0.1",
        "ui.enabled": "false",
        "ui.showConsoleProgress": "false",
        "local.dir": f"{folder}/local",
        "sql.warehouse.dir": f"{folder}/plain",
        "sql.session.timeZone": "UTC",
        "sql.shuffle.partitions": "2",
        "sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # of plain files, for the truth
        "sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
        "sql.catalog.ice.type": "hadoop",
        "sql.catalog.ice.warehouse": f"{folder}/warehouse",
        "sql.catalog.ice.cache-enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("lakeflow interop")
    for name, value in options.items():
        builder = builder.config(f"spark.{name}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


@dataclass(frozen=True, slots=True)
class SparkTable:
    """A table in Spark's catalog."""

    session: Any
    name: str

    def sql(self, *statements: str) -> list[Any]:
        """Run statements in which `{t}` is the table and `{n}` its name inside the catalog; the last one's rows."""
        found: list[Any] = []
        for statement in statements:
            text = statement.replace("{t}", self.name).replace("{n}", self.name.removeprefix("ice."))
            found = self.session.sql(text).collect()
        return found

    @property
    def java(self) -> Any:
        """Iceberg's own `Table`, for what SQL has no words for."""
        loader = self.session._jvm.org.apache.iceberg.spark.Spark3Util
        return loader.loadIcebergTable(self.session._jsparkSession, self.name)

    @property
    def metadata(self) -> str:
        """Where its current metadata file lies."""
        return str(self.java.operations().current().metadataFileLocation())

    @property
    def snapshots(self) -> list[int]:
        """Ids, oldest first."""
        return [row[0] for row in self.sql("select snapshot_id from {t}.snapshots order by committed_at")]

    def read(self, where: str | None = None, snapshot: int | None = None) -> Read:
        """A read with the rows that Spark gives for it."""
        at = f" version as of {snapshot}" if snapshot is not None else ""
        frame = self.session.sql(f"select * from {self.name}{at}" + (f" where {where}" if where else ""))
        return Read(spark_rows(frame), where, snapshot)


@pytest.fixture
def make(spark: Any) -> Callable[..., SparkTable]:
    """Create a table in Spark: its columns, what it is partitioned by, its format version, properties."""

    def made(
        columns: str, partitioned: str = "", version: int = 2, properties: Mapping[str, str] | None = None
    ) -> SparkTable:
        table = SparkTable(spark, f"ice.d.t{next(_numbers)}")
        given = {"format-version": str(version), **(properties or {})}
        listed = ", ".join(f"'{name}'='{value}'" for name, value in given.items())
        by = f" partitioned by ({partitioned})" if partitioned else ""
        table.sql(f"create table {{t}} ({columns}) using iceberg{by} tblproperties ({listed})")
        return table

    return made


@pytest.fixture
def check_reads(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Let every engine read tables, and hold what comes of it against this test's row in docs/iceberg.md.

    Tables are given as their metadata files, each with the reads that are wanted of it.
    """

    def check(tables: Mapping[str, Sequence[Read]], writer: str) -> None:
        test = f"{request.path.name}::{request.node.originalname}"
        found = {name: None if name == writer else outcome(rows, tables) for name, rows in READERS.items()}
        _measured[f"{request.path.name}::{request.node.name}"] = found
        said = cells().get(test)
        assert said is not None, f"docs/iceberg.md has no row for {test}"
        other = {name: each for name, each in found.items() if said[name] != (each.word if each else "writes")}
        assert not other, f"{test}: docs/iceberg.md says otherwise. " + "; ".join(map(str, other.items()))
        if found["lakeflow"] and found["lakeflow"].word in {"no", "fails"}:
            quoted = said["where lakeflow doesn't"].strip("`")
            assert quoted, f"{test}: docs/iceberg.md doesn't say what lakeflow's error is"
            assert quoted in found["lakeflow"].detail

    return check


@pytest.fixture
def check(check_reads: Callable[..., None]) -> Callable[..., None]:
    """The same for a table that Spark wrote: whole, filtered by each of `where`, and at each of `snapshots`."""

    def checked(table: SparkTable, *where: str, snapshots: Sequence[int] = ()) -> None:
        reads = [table.read(), *map(table.read, where), *(table.read(snapshot=each) for each in snapshots)]
        assert all(len(read.truth.values) < len(reads[0].truth.values) for read in reads[1 : 1 + len(where)])
        check_reads({table.metadata: reads}, "Spark")

    return checked


@pytest.fixture
def check_written(check_reads: Callable[..., None], spark: Any, tmp_path: Path) -> Callable[..., None]:
    """Let every engine read tables of the same rows; Spark filters them, from one plain file, for the truth."""

    def check(tables: lf.Table | list[lf.Table], data: pa.Table, *where: str) -> None:
        reads = [Read(arrow_rows(data))]
        if where:
            path = tmp_path / "truth.parquet"
            pq.write_table(data, path)
            plain = spark.read.parquet(str(path))
            reads += [Read(spark_rows(plain.where(each)), each) for each in where]
        assert all(len(read.truth.values) < data.num_rows for read in reads[1:])
        listed = tables if isinstance(tables, list) else [tables]
        check_reads({each.iceberg.metadata_location: reads for each in listed}, "lakeflow")

    return check


@pytest.fixture
def written(embedded: lf.Lake) -> Callable[..., lf.Table]:
    """Create a table for rows with lakeflow, and append them."""
    numbers = itertools.count()

    def make(data: pa.Table, **options: object) -> lf.Table:
        table = embedded.create_table(f"kg.t{next(numbers)}", data.schema, **options)
        table.append(data)
        return table

    return make
