"""Folders whose files are those of a table, of a format that isn't read.

Its log says which of the files count: whoever reads all of them reads rows that were deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeflow_io.errors import UnsupportedError
from lakeflow_io.storage.location import WEB, join

if TYPE_CHECKING:
    from lakeflow_io.storage import Transport

__all__ = ["refuse_foreign"]

_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}


def refuse_foreign(transport: Transport, uri: str) -> None:
    """Refuse the folder of a table of another format.

    Args:
        transport: Where it lies.
        uri: The folder.

    Raises:
        UnsupportedError: it has a log of Delta Lake's or Hudi's.
    """
    if uri.partition("://")[0] in WEB:  # which lists nothing
        return
    for folder, name in _LOGS.items():
        if next(iter(transport.list(join(uri, folder))), None) is not None:
            raise UnsupportedError(
                f"{uri} is a table of {name}, which is not read: not all of its files hold its rows.",
                "read it with an engine that knows it, or its files as they are: lf.scan_parquet(...).",
            )
