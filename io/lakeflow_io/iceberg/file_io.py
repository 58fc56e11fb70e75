"""pyiceberg's file seam over our transport: metadata, manifests and data all travel one way.

pyiceberg's own implementations ask for an object's size before they read it. Metadata files are
read whole, so one GET is enough.
"""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

from pyiceberg.io import FileIO, InputFile, OutputFile

from lakeflow_io.errors import ObjectNotFoundError, UnsupportedError
from lakeflow_io.iceberg.whole import check_whole
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.hedged import get_hedged
from lakeflow_io.storage.properties import store_properties

if TYPE_CHECKING:
    from pyiceberg.typedef import Properties

    from lakeflow_io.storage import Transport

__all__ = ["TransportFileIO"]


class _Upload(io.BytesIO):
    """Collects a small file and puts it in one atomic request when closed without an error."""

    def __init__(self, transport: Transport, location: str, *, overwrite: bool) -> None:
        super().__init__()
        self._transport = transport
        self._location = location
        self._overwrite = overwrite

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            super().close()

    def close(self) -> None:
        if self.closed:
            return
        data = self.getvalue()
        super().close()
        try:
            absent = self._overwrite or self._transport.put_if_absent(self._location, data)
        except UnsupportedError:  # the store has no such condition; names of metadata files have a UUID
            absent = self._overwrite = True
        if not absent:
            raise FileExistsError(f"{self._location} exists already.")
        if self._overwrite:
            self._transport.put(self._location, data)


class _TransportFile(InputFile, OutputFile):
    """One object; its bytes are fetched once."""

    def __init__(self, transport: Transport, location: str) -> None:
        super().__init__(location)
        self._transport = transport
        self._data: memoryview | None = None

    def _bytes(self) -> memoryview:
        if self._data is None:
            try:
                data = get_hedged(self._transport, self.location)
            except ObjectNotFoundError as error:
                # pyiceberg tells a missing file by this type.
                raise FileNotFoundError(str(error)) from error
            check_whole(self.location, data)
            # pyiceberg decompresses what ends in .gz.metadata.json; the older name of the same it doesn't know.
            old_name = self.location.endswith(".metadata.json.gz")
            self._data = memoryview(gzip.decompress(data)) if old_name else data
        return self._data

    def __len__(self) -> int:
        return len(self._bytes())

    def exists(self) -> bool:
        try:
            self._bytes()
        except FileNotFoundError:
            return False
        return True

    def open(self, seekable: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002  (pyiceberg's signature)
        return io.BytesIO(self._bytes())

    def to_input_file(self) -> InputFile:
        return self

    def create(self, overwrite: bool = False) -> Any:  # noqa: FBT001, FBT002  (pyiceberg's signature)
        self._data = None
        return _Upload(self._transport, self.location, overwrite=overwrite)


class TransportFileIO(FileIO):
    """What the catalog property `py-io-impl` names."""

    def __init__(self, properties: Properties | None = None) -> None:
        super().__init__(properties or {})
        self.transport = open_transport(store_properties(self.properties))

    def new_input(self, location: str) -> InputFile:
        """A file to read."""
        return _TransportFile(self.transport, location)

    def new_output(self, location: str) -> OutputFile:
        """A file to write, all at once."""
        return _TransportFile(self.transport, location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file; one that is gone already is no error."""
        self.transport.delete(location if isinstance(location, str) else location.location)
