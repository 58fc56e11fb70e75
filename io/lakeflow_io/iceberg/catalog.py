"""Names and properties -> a pyiceberg catalog whose files travel over our transport."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lakeflow_io.errors import ConfigError, NotFoundError
from lakeflow_io.iceberg.internals import keep_own_code
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

__all__ = ["embedded_catalog", "named_catalog", "open_catalog", "without_secrets"]

_FILE_IO = "lakeflow_io.iceberg.file_io.TransportFileIO"


def embedded_catalog(home: str | os.PathLike[str] | None = None) -> Catalog:
    """A SQLite catalog and a warehouse in one folder of this machine, made where they are missing.

    Args:
        home: The folder; default `$LAKEFLOW_HOME`, else `./lakehouse`.
    """
    folder = Path(home or os.environ.get("LAKEFLOW_HOME") or "lakehouse").absolute()
    try:
        (folder / "warehouse").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"No lakehouse can be made in {folder}: {error.strerror or error}.",
            "set LAKEFLOW_HOME to a folder that you may write to.",
        ) from error
    return open_catalog(
        "embedded",
        {"type": "sql", "uri": _sqlite_uri(f"{folder}/catalog.db"), "warehouse": f"file://{folder}/warehouse"},
    )


def named_catalog(name: str) -> Catalog:
    """A catalog described in `.pyiceberg.yaml` or by `PYICEBERG_CATALOG__<NAME>__*` variables."""
    from pyiceberg.utils.config import Config

    with translated("read the pyiceberg configuration"):
        config = Config()
        known = sorted(config.get_known_catalogs())
    if name not in known:
        error = NotFoundError.among("catalog", name, "the pyiceberg configuration", known)
        error.hint = f"{error.hint} Describe it in ~/.pyiceberg.yaml or with PYICEBERG_CATALOG__{name.upper()}__URI."
        raise error
    # Handed over, since pyiceberg itself looks only once, when it is imported.
    return open_catalog(name, dict(config.get_catalog_config(name) or {}))


def open_catalog(name: str, properties: dict[str, Any]) -> Catalog:
    """Open a catalog of any kind that pyiceberg knows (REST, SQL, Glue, Hive, DynamoDB, ...).

    Raises:
        ConfigError: the properties don't describe a catalog.
        CatalogError: it can't be reached.
    """
    from pyiceberg.catalog import load_catalog

    where = without_secrets(str(properties.get("uri", "")))
    own = {"py-io-impl": _FILE_IO, **properties}
    with translated(f"open catalog {name!r} {where}".rstrip()):
        try:
            catalog = load_catalog(name, **own)
        except ValueError as error:
            raise ConfigError(
                f"The properties of catalog {name!r} do not describe a catalog: {error}",
                "give at least uri= and warehouse=, and type= where the uri does not tell.",
            ) from error
    keep_own_code(catalog, own)
    return catalog


def without_secrets(uri: str) -> str:
    """A catalog's address as it may be shown: no password, no query."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", uri.partition("?")[0])


def _sqlite_uri(path: str) -> str:
    """The address of a SQLite file, whatever its name: SQLAlchemy may or may not unquote it."""
    from sqlalchemy import make_url

    for uri in (f"sqlite:///{path}", f"sqlite:///{quote(path)}"):
        if make_url(uri).database == path:
            return uri
    raise ConfigError(f"No catalog can lie at {path}.", "choose a folder without '?', '#' and '%' in its name.")
