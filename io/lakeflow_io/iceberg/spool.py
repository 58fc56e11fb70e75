"""Rows that are looked at more than once: kept in memory while they are few, else in a temporary file."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from lakeflow_io.errors import StoreFullError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Spool"]


class Spool:
    """Takes tables of one schema and gives one; a context manager, at whose end the file goes.

    Args:
        schema: Theirs.
        memory: Bytes above which they are written to the folder for temporary files (`$TMPDIR`) and mapped from there.
    """

    def __init__(self, schema: pa.Schema, memory: int) -> None:
        self._schema, self._memory = schema, memory
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._path: Path | None = None
        self._file: Any = None
        self._stream: Any = None

    def add(self, rows: pa.Table) -> None:
        """Take rows over.

        Raises:
            StoreFullError: the temporary file doesn't fit on its disk.
        """
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        if self._held_bytes > self._memory:
            self._spill()

    def table(self) -> pa.Table:
        """All rows; valid until the end of the block.

        Raises:
            StoreFullError: the temporary file doesn't fit on its disk.
        """
        if self._path is None:
            return pa.concat_tables([self._schema.empty_table(), *self._held]).combine_chunks()
        self._spill()
        self._close()
        return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def _spill(self) -> None:
        try:
            if self._path is None:
                with tempfile.NamedTemporaryFile(prefix="lakeflow-", suffix=".arrow", delete=False) as file:
                    self._path = Path(file.name)
                self._file = pa.OSFile(str(self._path), "wb")
                self._stream = pa.ipc.new_file(self._file, self._schema)
            for rows in self._held:
                self._stream.write_table(rows)
        except OSError as error:
            raise StoreFullError(
                f"{self._held_bytes} bytes of rows can't be set aside in {tempfile.gettempdir()}: {error}",
                "free space there, set TMPDIR to a larger disk, or allow more memory.",
            ) from error
        self._held, self._held_bytes = [], 0

    def _close(self) -> None:
        stream, file, self._stream, self._file = self._stream, self._file, None, None
        try:
            if stream is not None:
                stream.close()
        finally:
            if file is not None:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._held.clear()
        if self._path is not None:
            with suppress(OSError):  # of a disk that is full: nobody reads the file
                self._close()
            self._path.unlink(missing_ok=True)
