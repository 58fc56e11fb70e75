"""An ORC file: where its stripes are, and what pyarrow decodes of them.

A stripe is fetched whole. Which bytes of it belong to which columns its own footer says, so that less would take one
more round trip a stripe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_io.errors import LakeflowError, UnsupportedError
from lakeflow_io.orc.tail import corrupt, read_tail
from lakeflow_io.orc.types import stated
from lakeflow_io.parquet.footer import tail_range
from lakeflow_io.parquet.ranges import ByteRange
from lakeflow_io.parquet.sparse import SparseFile
from lakeflow_io.restate import restated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.orc.tail import Stripe
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["OrcFile", "OrcFormat"]

# What pyarrow says of a moment that 64 bits of nanoseconds don't hold.
_TOO_FAR = "out of range for nanosecond"


class OrcFormat:
    """How ORC files are opened."""

    def first_ranges(self, size: int) -> list[ByteRange]:
        """The tail: as for Parquet, whose metadata is of the same size."""
        return [tail_range(size)]

    def open(self, uri: str, size: int, there: FetchedRanges) -> OrcFile | ByteRange:
        """Decode the tail.

        Raises:
            CorruptFileError: it isn't one; names the file.
            UnsupportedError: the file has a feature that isn't read.
        """
        start = there.parts[0][0].start
        stripes = read_tail(uri, size, there.view(start, size - start))
        if isinstance(stripes, ByteRange):
            return stripes
        try:
            schema = stated(uri, _pyarrow_file(size, there).schema)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise corrupt(uri, str(error)) from error
        return OrcFile(uri, size, schema, stripes)


@dataclass(frozen=True, slots=True)
class OrcFile:
    """An opened file; its row groups are its stripes."""

    uri: str
    size: int
    schema: pa.Schema
    stripes: list[Stripe]

    @property
    def key(self) -> bytes:
        """What tells its schema from others."""
        found: bytes = self.schema.serialize().to_pybytes()
        return found

    @property
    def is_columnar(self) -> bool:
        """Columns are decoded one by one."""
        return True

    @property
    def groups(self) -> list[tuple[int, ByteRange]]:
        """Rows and place of each stripe."""
        return [(stripe.rows, stripe.where) for stripe in self.stripes]

    def decode(self, group: int, columns: Sequence[str], fetched: FetchedRanges) -> dict[str, pa.ChunkedArray]:
        """Decode top-level columns of one stripe.

        Args:
            group: The stripe's index.
            columns: Names in the file.
            fetched: The stripe's bytes, and the file's tail.

        Raises:
            CorruptFileError: it doesn't decode; names the file.
            UnsupportedError: a column has moments that pyarrow can't hold.
        """
        if not columns:
            return {}
        found = {}
        try:
            batch = _pyarrow_file(self.size, fetched).read_stripe(group, columns=list(columns))
            for name in columns:
                column = batch.column(name)
                column.validate(full=True)
                found[name] = pa.chunked_array([restated(column, self.schema.field(name).type)])
        except (pa.ArrowException, OSError, KeyError, MemoryError) as error:
            raise self._failure(group, columns, error) from error
        return found

    def _failure(self, group: int, columns: Sequence[str], error: BaseException) -> LakeflowError:
        if _TOO_FAR in str(error):
            return UnsupportedError(
                f"{self.uri}: stripe {group} has moments before 1678 or after 2261 in one of its columns "
                f"{', '.join(columns)}, which can't be read from ORC ({error}).",
                "read the other columns, or rewrite the file as Parquet.",
            )
        return corrupt(self.uri, f"stripe {group} does not decode: {error}")


def _pyarrow_file(size: int, fetched: FetchedRanges) -> Any:
    from pyarrow import orc

    return orc.ORCFile(pa.PythonFile(SparseFile(size, fetched), mode="r"))
