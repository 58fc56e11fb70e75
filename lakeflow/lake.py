"""A lakehouse: one catalog, and the tables it names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow.formats.iceberg import IcebergFormat
from lakeflow.runs.state.silence import GIVE_UP_AFTER
from lakeflow.table import Table
from lakeflow_io.errors import AlreadyExistsError, ConfigError, InputError, LakeflowError, NotFoundError
from lakeflow_io.iceberg.adopt import adopted_files, name_mapping, take_in
from lakeflow_io.iceberg.catalog import embedded_catalog, named_catalog, open_catalog, without_secrets
from lakeflow_io.iceberg.change import Change
from lakeflow_io.iceberg.commit import commit_change
from lakeflow_io.iceberg.internals import fresh_schema
from lakeflow_io.iceberg.layout import partition_spec, sort_order
from lakeflow_io.iceberg.translate import translated
from lakeflow_io.iceberg.vended import table_store
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from pyiceberg.catalog import Catalog
    from pyiceberg.typedef import TableVersion

    from lakeflow.runs.run import Run
    from lakeflow.runs.state.collect import CollectedRun
    from lakeflow.runs.state.listing import RunInfo
    from lakeflow_io.folder.hive import HiveTypes

__all__ = ["Lake", "connect"]

_IDENTIFIER_PARTS = 2  # the least: a namespace and a table


def connect(catalog: str | None = None, **properties: Any) -> Lake:
    """Open a lakehouse.

    Args:
        catalog: The name of a catalog in `.pyiceberg.yaml` or in `PYICEBERG_CATALOG__<NAME>__*`.
        properties: Or a catalog's properties, as pyiceberg names them: `uri`, `warehouse`, `type`,
            and dotted ones as `**{"s3.endpoint": ...}`. With neither: an embedded catalog (SQLite and
            local files) in `$LAKEFLOW_HOME`, else in `./lakehouse`.

    Raises:
        NotFoundError: no catalog of that name is configured.
        ConfigError: the properties don't describe a catalog.
        CatalogError: it can't be reached.
        AccessDeniedError: it refuses the credentials.

    Example:
        >>> lake = connect(type="sql", uri="sqlite:///lake.db", warehouse="file:///tmp/lake")  # doctest: +SKIP
    """
    if catalog is not None and properties:
        raise ConfigError(
            "connect() was given both a catalog's name and properties.",
            "give a name for a configured catalog, or properties for one that isn't.",
        )
    if catalog is not None:
        return Lake(named_catalog(catalog))
    return Lake(open_catalog("lakeflow", properties) if properties else embedded_catalog())


class Lake:
    """One catalog. Made by `connect`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __repr__(self) -> str:
        return f"Lake({self._catalog.name!r}, {without_secrets(str(self._catalog.properties.get('uri', '')))!r})"

    @property
    def catalog(self) -> Catalog:
        """The pyiceberg catalog beneath, for what lakeflow doesn't do."""
        return self._catalog

    def namespaces(self) -> list[str]:
        """All top-level namespaces, sorted."""
        with translated("list namespaces"):
            return sorted(".".join(name) for name in self._catalog.list_namespaces())

    def tables(self, namespace: str | None = None) -> list[str]:
        """The tables of one namespace, or of all, as `namespace.table`, sorted.

        Raises:
            NotFoundError: there is no such namespace.
        """
        found: list[str] = []
        for each in [namespace] if namespace else self.namespaces():
            with translated(f"list the tables of {each}"):
                found += [".".join(name) for name in self._catalog.list_tables(each)]
                # Some REST servers list nothing for a namespace that isn't there.
                if namespace and not found and not self._catalog.namespace_exists(namespace):
                    raise NotFoundError.among("namespace", namespace, repr(self), self.namespaces())
        return sorted(found)

    def table(self, name: str) -> Table:
        """Open a table by `namespace.table`.

        Raises:
            NotFoundError: there is no such table; names the closest.
        """
        _check_identifier(name)
        from pyiceberg.exceptions import NoSuchIdentifierError, NoSuchNamespaceError, NoSuchTableError

        with translated(f"open table {name}"):
            try:
                return Table(IcebergFormat(name, self._catalog.load_table(name)))
            except (NoSuchTableError, NoSuchNamespaceError, NoSuchIdentifierError):
                known = self.tables()
        raise NotFoundError.among("table", name, repr(self), known)

    def has_table(self, name: str) -> bool:
        """Tell whether a table is there."""
        _check_identifier(name)
        with translated(f"look for table {name}"):
            return bool(self._catalog.table_exists(name))

    def create_table(
        self,
        name: str,
        schema: pa.Schema,
        *,
        partition_by: Sequence[str] | str = (),
        sort_by: Sequence[str] | str = (),
        properties: Mapping[str, str] | None = None,
    ) -> Table:
        """Create an empty table, and its namespace where it is missing.

        Args:
            name: `namespace.table`.
            schema: Columns in order; a non-nullable field becomes a required column.
            partition_by: Columns and transforms: `["country", "bucket(16, id)", "day(ts)"]`.
            sort_by: Columns each data file is sorted by: `["id", "score desc"]`.
            properties: Iceberg table properties, such as `write.parquet.compression-codec`.

        Raises:
            AlreadyExistsError: the name is taken.
            NotFoundError: `partition_by` or `sort_by` names a column that isn't in the schema.
            InputError: a transform doesn't exist or doesn't take its column's type.
        """
        _check_identifier(name)
        if not isinstance(schema, pa.Schema):
            raise InputError(f"The schema of {name} is a {type(schema).__name__}.", "give a pyarrow.Schema.")
        options = {"write.parquet.compression-codec": "zstd", **(properties or {})}
        with translated(f"create table {name}"):
            fresh = fresh_schema(schema, _format_version(options))
            spec = partition_spec(fresh, [partition_by] if isinstance(partition_by, str) else partition_by)
            order = sort_order(fresh, [sort_by] if isinstance(sort_by, str) else sort_by)
            if self._catalog.table_exists(name):  # some REST servers answer with the table that is there
                hint = "choose another name, or open the one that is there."
                raise AlreadyExistsError(f"Cannot create table {name}: it exists already.", hint)
            self._catalog.create_namespace_if_not_exists(name.rpartition(".")[0])
            created = self._catalog.create_table(
                name, schema=fresh, partition_spec=spec, sort_order=order, properties=options
            )
        return Table(IcebergFormat(name, created))

    def adopt(
        self,
        path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        name: str,
        *,
        hive: HiveTypes = None,
        properties: Mapping[str, str] | None = None,
    ) -> Table:
        """Make a table of Parquet files that are there; they stay where and as they are.

        All footers are read, for the table's columns (the widest type of each) and the statistics that
        scans prune by. `key=value` folders become identity partitions. The files belong to the table
        from then on: what deletes or rewrites rows in it may delete them; dropping it does not.

        Args:
            path: A file, a folder, a glob, or several of these, in a store that the catalog's properties open.
            name: `namespace.table` of the new table.
            hive: Which folders are partition columns, as for `scan_parquet`.
            properties: Iceberg table properties.

        Raises:
            AlreadyExistsError: the name is taken.
            NotFoundError: there is no file.
            UnsupportedError: a file has field ids, or a type that Iceberg's data files lack; names it.
            SchemaError: files don't fit together, or with what their paths say.
            CorruptFileError: one is no Parquet file.

        Example:
            >>> lake.adopt("s3://lake/events/", "web.events")  # doctest: +SKIP
        """
        if self.has_table(name):
            raise AlreadyExistsError(f"Cannot adopt files as {name}: it exists already.", "choose another name.")
        options = dict(properties or {})
        paths = [path] if isinstance(path, str | os.PathLike) else path
        if not isinstance(paths, Iterable):
            raise InputError(f"{path!r} is no path.", "give a path, a URI or a glob, or a list of them.")
        found = take_in(paths, store_properties(self._catalog.properties), hive)
        table = self.create_table(name, found.schema, partition_by=found.partition_by, properties=options)
        try:
            table.set_properties(name_mapping(table.iceberg))
            commit_change(table.iceberg, name, Change("append", added=adopted_files(table.iceberg, found)), {})
        except BaseException:
            with suppress(LakeflowError):
                self.drop_table(name)
            raise
        return table

    def drop_table(self, name: str, *, purge: bool = False) -> None:
        """Take a table out of the catalog.

        Args:
            name: `namespace.table`.
            purge: Delete everything in the table's folder too, once the catalog has let go of it.

        Raises:
            NotFoundError: there is no such table.
        """
        table = self.table(name)
        with translated(f"drop table {name}"):
            self._catalog.drop_table(name)
        if purge:
            transport = open_transport(table_store(table.iceberg))
            for found in list(transport.list(table.location)):
                transport.delete(found.uri)

    def runs(self, tables: Sequence[str] | str | None = None) -> list[RunInfo]:
        """The runs that wrote, or write, into tables: state, owner, age and progress; newest first.

        Takes a listing a table, and about a request a run.

        Args:
            tables: Only those whose first output is one of these.

        Raises:
            NotFoundError: a table isn't there.
        """
        from lakeflow.runs.state.listing import list_runs

        return list_runs(self, tables)

    def resume(self, run_id: str, function: Callable[..., Any] | None = None, **options: Any) -> Run:
        """Go on with a run that stopped before it had committed; `lakeflow.resume` says what options there are."""
        from lakeflow.runs.resume import resume

        return resume(run_id, function, lake=self, **options)

    def collect_runs(self, *, older_than: timedelta = GIVE_UP_AFTER, dry_run: bool = False) -> list[CollectedRun]:
        """Give up runs that nobody finishes, and delete the files that they and losing attempts left.

        A run that is given up can't publish any more, whoever resumes it. No file goes that a snapshot has.

        Args:
            older_than: How long a run must not have been heard of.
            dry_run: Tell what would go, and change nothing.

        Raises:
            StoreError: the store failed; calling again goes on.
        """
        from lakeflow.runs.state.collect import collect_runs

        return collect_runs(self, older_than=older_than, dry_run=dry_run)


def _format_version(properties: Mapping[str, str]) -> TableVersion:
    asked = str(properties.get("format-version", "2"))
    if asked not in ("1", "2"):
        raise InputError(f"Tables of format version {asked} are not written by this version.", "use 1 or 2.")
    return 1 if asked == "1" else 2


def _check_identifier(name: str) -> None:
    parts = name.split(".") if isinstance(name, str) else []
    if len(parts) < _IDENTIFIER_PARTS or not all(parts):
        raise InputError(f"{name!r} names no table.", "write namespace.table, such as kg.titles.")
