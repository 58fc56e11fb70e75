"""A table whose store's keys the catalog vends carries where to get the next ones."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from pyiceberg.catalog.rest import RestCatalog

from lakeflow_io.iceberg.file_io import TransportFileIO
from lakeflow_io.iceberg.vended import VendedCredentials, table_store
from lakeflow_io.storage import open_transport

SECRET = "hunter2-s3cr3t"
_versions = itertools.count(1)
VENDED = {"s3.access-key-id": "k", "s3.secret-access-key": SECRET, "s3.session-token": "t"}


class Glue:
    """A catalog of another kind."""

    properties: dict[str, Any]


def _table(io: dict[str, Any], own: dict[str, Any], catalog: type = RestCatalog) -> Any:
    made = object.__new__(catalog)
    made.properties = own
    return SimpleNamespace(
        io=TransportFileIO({**own, **io}),
        catalog=made,
        name=lambda: ("kg", "titles"),
        location=lambda: "s3://bucket/titles",
        metadata_location=f"s3://bucket/titles/metadata/{next(_versions)}.json",
    )


def test_vended_keys_come_with_their_source() -> None:
    """The description makes the same source again, and the table's own reader has it too."""
    table = _table(VENDED, {"uri": "https://rest", "token": SECRET, "session": object()})

    store = table_store(table)

    source = VendedCredentials.described(store)
    assert (source.table, source.location) == (("kg", "titles"), "s3://bucket/titles/")
    assert source.catalog == {"uri": "https://rest", "token": SECRET}
    assert SECRET not in repr(source)
    assert store == table_store(table)
    assert VENDED.items() <= store.items()
    assert table.io.properties["lakeflow.credentials.table"] == '["kg", "titles"]'


def test_a_commit_is_no_new_transport() -> None:
    """Each writes a metadata file of another name, and each load of the table brings other keys."""
    own = {"uri": "https://rest", "token": SECRET}

    stores = [table_store(_table({**VENDED, "s3.session-token": each}, own)) for each in "ab"]

    assert open_transport(stores[0]) is open_transport(stores[1])


@pytest.mark.parametrize(
    ("io", "own", "catalog"),
    [
        (VENDED, VENDED, RestCatalog),
        ({}, {"uri": "https://rest"}, RestCatalog),
        ({**VENDED, "client.refresh-credentials-enabled": "false"}, {}, RestCatalog),
        (VENDED, {}, Glue),
    ],
    ids=["the user's own", "none", "turned off", "no REST catalog"],
)
def test_other_keys_stand_alone(io: dict[str, Any], own: dict[str, Any], catalog: type) -> None:
    """Keys that nobody vended are not asked for anywhere."""
    assert not [name for name in table_store(_table(io, own, catalog)) if name.startswith("lakeflow.")]
