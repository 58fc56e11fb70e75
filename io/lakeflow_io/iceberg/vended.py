"""Storage credentials that a REST catalog vends for a table, and where a worker gets the next ones.

pyiceberg puts what the catalog vends among a table's file properties, and asks no second time. The
spec's way to do so is `GET .../namespaces/{namespace}/tables/{table}/credentials`; a catalog that
hasn't that endpoint vends anew when the table is loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import ConfigError
from lakeflow_io.iceberg.internals import keep_own_code
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.storage.credentials import CATALOG, LOCATION, TABLE, is_credential
from lakeflow_io.storage.properties import flag, store_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.catalog.rest import RestCatalog
    from pyiceberg.table import Table

__all__ = ["VendedCredentials", "table_store"]

_ENABLED = "client.refresh-credentials-enabled"


def table_store(table: Table) -> dict[str, str]:
    """The storage properties of a table: all that a worker needs, for longer than its credentials live.

    Where a REST catalog vended them, they say where to get the next ones, and the table's own file
    reader is told the same.
    """
    from lakeflow_io.iceberg.file_io import TransportFileIO

    properties = store_properties(table.io.properties)
    if TABLE in properties or not _is_vended(table, properties):
        return properties
    described = VendedCredentials.of(table).description
    if isinstance(table.io, TransportFileIO):
        table.io = TransportFileIO({**table.io.properties, **described})
    return {**properties, **described}


def _is_vended(table: Table, properties: Mapping[str, str]) -> bool:
    from pyiceberg.catalog.rest import RestCatalog

    if not isinstance(table.catalog, RestCatalog) or not flag({_ENABLED: "true", **properties}, _ENABLED):
        return False
    own = store_properties(table.catalog.properties)
    return any(is_credential(name) and own.get(name) != value for name, value in properties.items())


@dataclass(slots=True)
class VendedCredentials:
    """Asks a REST catalog for the storage credentials of one table."""

    table: tuple[str, ...]
    location: str
    catalog: dict[str, Any] = field(repr=False)
    _opened: RestCatalog | None = field(default=None, init=False, repr=False, compare=False)
    _lock: Any = field(default_factory=Lock, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, table: Table) -> VendedCredentials:
        """The credentials of a table that was loaded."""
        # With a slash: the prefix of a credential may end in one.
        return cls(table.name(), table.location().rstrip("/") + "/", dict(table.catalog.properties))

    @classmethod
    def described(cls, properties: Mapping[str, str]) -> VendedCredentials:
        """What `description` told.

        Raises:
            ConfigError: a part of it is missing or garbled.
        """
        try:
            return cls(
                tuple(json.loads(properties[TABLE])), properties[LOCATION], dict(json.loads(properties[CATALOG]))
            )
        except (KeyError, TypeError, ValueError):
            raise ConfigError(
                f"{TABLE}, {LOCATION} and {CATALOG} don't describe a table's credentials.",
                "leave all three to lakeflow, which sets them for a table that it loads.",
            ) from None

    @property
    def description(self) -> dict[str, str]:
        """Properties that describe this source to another process."""
        catalog = {name: value for name, value in self.catalog.items() if _is_plain(value)}
        return {TABLE: json.dumps(self.table), LOCATION: self.location, CATALOG: json.dumps(catalog)}

    def __call__(self) -> Mapping[str, str]:
        """Fresh credentials, and until when they are good.

        Raises:
            LakeflowError: the catalog refuses, or can't be reached.
        """
        with translated(f"get fresh storage credentials for {'.'.join(self.table)}"):
            catalog = self._catalog()
            try:
                found = catalog.load_credentials(self.table, self.location)
            except NotImplementedError:  # the catalog has no such endpoint
                found = {}
            if not found:
                found = store_properties(catalog.load_table(self.table).io.properties)
        return {name: str(value) for name, value in found.items() if is_credential(name)}

    def _catalog(self) -> RestCatalog:
        from pyiceberg.catalog.rest import RestCatalog

        with self._lock:
            if self._opened is None:
                self._opened = RestCatalog("credentials", **self.catalog)
                keep_own_code(self._opened, self.catalog)
            return self._opened


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(each) for name, each in value.items())
    return value is None or isinstance(value, str | int | float | bool)
