"""Secrets reach the store and the catalog, and nothing that people read or that lies in a warehouse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.runs.attempts.attempt import Attempt
from lakeflow.runs.attempts.call import Call
from lakeflow.runs.outputs.outputs import Outputs
from lakeflow.runs.outputs.table_sink import TableSink
from lakeflow_io.errors import LakeflowError
from lakeflow_io.storage import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

SECRET = "hunter2-s3cr3t"


@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql+psycopg2://user:{SECRET}@db.example/lake",
        f"mysql://user:{SECRET}@db.example:3306/lake?charset=utf8",
        f"https://user:{SECRET}@rest.example/catalog",
        f"postgresql://user:a%40{SECRET}@db.example/lake",
        f"postgresql://db.example/lake?user=user&password={SECRET}",
        f"https://rest.example/catalog?token={SECRET}",
    ],
)
def test_a_lake_shows_no_password(uri: str) -> None:
    """`repr(lake)` says where it is, and not how to get in."""
    catalog: Any = SimpleNamespace(name="prod", properties={"uri": uri})

    shown = repr(lf.Lake(catalog))

    assert SECRET not in shown
    assert "prod" in shown
    assert ".example" in shown


def test_a_lake_without_a_password_shows_its_uri(embedded: lf.Lake) -> None:
    """Where there is nothing to hide, nothing is."""
    assert repr(embedded).endswith("catalog.db')")


def test_an_error_shows_no_password(tmp_path: Path) -> None:
    """A catalog that can't be reached is named without its password."""
    uri = f"postgresql+psycopg2://user:{SECRET}@127.0.0.1:1/lake"

    with pytest.raises(LakeflowError) as caught:
        lf.connect(type="sql", uri=uri, warehouse=f"file://{tmp_path}").tables()

    assert SECRET not in str(caught.value)


@pytest.fixture
def secretive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lf.Lake:
    """A lake whose properties hold secrets of every kind that travels with tasks."""
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path))
    (tmp_path / "warehouse").mkdir()
    names = ("s3.secret-access-key", "client.secret-access-key", "s3.session-token", "token", "credential",
             "gcs.oauth2.token", "adls.account-key")  # fmt: skip
    secrets = dict.fromkeys(names, SECRET)
    return lf.connect(
        type="sql", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse", **secrets
    )


@pytest.fixture
def tables(secretive: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> tuple[lf.Table, lf.Table]:
    """An input of four files, and an output."""
    source = secretive.create_table(f"{namespace}.source", numbers(1).schema)
    for start in range(0, 40, 10):
        source.append(numbers(10, start))
    return source, secretive.create_table(f"{namespace}.into", numbers(1).schema)


def closes_over(value: str) -> Callable[..., Any]:
    """A function that carries a secret."""

    def keep(rows: pa.Table) -> pa.Table:
        return rows if value else rows.slice(0, 0)

    return keep


def test_nothing_that_travels_shows_a_secret(
    tables: tuple[lf.Table, lf.Table], numbers: Callable[..., pa.Table]
) -> None:
    """Job, attempt, shard, spec, stager, shared table: what a log or Dask's dashboard would print."""
    source, into = tables
    sink = TableSink(into)
    call = Call(closes_over(SECRET), "told", None, None)
    shard = source.scan().shards(n=4)[0]
    job = call.job((), Outputs({"output": sink}, named=False), f"{into.location}/_lakeflow/runs/told")
    attempt = Attempt(job, shard, 0)
    del numbers

    shown = {
        type(each).__name__: f"{each!r} {each!s}"
        for each in (job, attempt, shard, shard.spec, sink.writer(), sink, source, into, source.scan(),
                     source.scan().pieces[0], call, shard.id, attempt.key, open_transport(sink.store_properties))
    }  # fmt: skip

    assert SECRET in sink.store_properties.values()
    assert [name for name, text in shown.items() if SECRET in text] == []


def test_a_shared_table_shows_no_secret(tables: tuple[lf.Table, lf.Table]) -> None:
    """What a task carries instead of the table."""
    from lakeflow_engines.shared import encode_shared

    source, into = tables
    carried, _ = encode_shared("names", source.scan().read().to_arrow(), "file:///x", TableSink(into).store_properties)

    assert SECRET in carried.store.values()
    assert SECRET not in repr(carried)


def test_no_secret_lies_in_the_warehouse(tables: tuple[lf.Table, lf.Table], tmp_path: Path) -> None:
    """Plan, markers, record of the commit, metadata, manifests, data: no file of the run holds one."""
    source, into = tables
    made = lf.foreach(
        source.scan().shards(n=4), with_shared, into=into, run_id="told", engine="threads",
        shared={"names": source.scan(columns=["text"]).read().to_arrow()}, params={"limit": 3},
    )  # fmt: skip

    paths = [path for path in (tmp_path / "warehouse").rglob("*") if path.is_file()]

    assert made.rows == 40
    assert {"plan.json", "seal.json", "output.json", "shard-00000.json"} <= {path.name for path in paths}
    assert [path.name for path in paths if SECRET.encode() in path.read_bytes()] == []


def with_shared(rows: pa.Table, names: pa.Table, limit: int) -> pa.Table:
    """The identity, with all kinds of arguments."""
    assert len(names) > limit
    return rows


def test_a_failure_shows_no_secret(tables: tuple[lf.Table, lf.Table]) -> None:
    """A function's failure, its traceback and its hint say nothing of the store's keys."""
    source, into = tables

    with pytest.raises(lf.errors.FunctionError) as caught:
        lf.foreach(source.scan().shards(n=4), lambda rows: rows["nope"], into=into, engine="serial")

    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.traceback_text}"
