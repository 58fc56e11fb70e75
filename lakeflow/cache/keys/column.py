"""What a key is: the seam between a cache and its key, and which of the two kinds a schema asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lakeflow.cache.keys.composite import CompositeKey
from lakeflow.cache.keys.plain import PlainKey
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["Key", "KeyColumn", "KeyNames", "KeyPart", "ManyKeys", "PythonType", "key_names", "key_of"]

KeyPart = int | str | bytes
Key = KeyPart | tuple[KeyPart, ...]
KeyNames = str | tuple[str, ...]
"""The column that is the key, or the columns that are it together."""
ManyKeys: TypeAlias = "Iterable[Key] | pa.Array | pa.ChunkedArray | pa.Table"
PythonType = type[Any]


class KeyColumn(Protocol):
    """The key of a cache: a column, or several together, and what fits in it."""

    @property
    def name(self) -> str:
        """The column's name; of several, all with commas between."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        ...

    @property
    def fields(self) -> list[pa.Field]:
        """The columns' names and types."""
        ...

    @property
    def python(self) -> PythonType:
        """What one key is: int, str or bytes; tuple where there are several columns."""
        ...

    @property
    def type(self) -> pa.DataType:
        """The column's type; of several, a struct of them."""
        ...

    def check(self, key: object) -> Key:
        """Return `key` as the Python value that is looked up.

        Raises:
            SchemaError: it is of another type, or an integer out of the column's range.
        """
        ...

    def array(self, keys: Any) -> pa.Array:
        """Return many keys as one Arrow array of `type`.

        Args:
            keys: Python or numpy values, or anything with Arrow data in it.

        Raises:
            SchemaError: a null, a value of another type, or one out of range.
        """
        ...

    def keys_of(self, rows: pa.RecordBatch | pa.Table) -> pa.Array:
        """Return the keys of rows, without a copy where they lie in one chunk."""
        ...

    def columns(self, keys: pa.Array) -> dict[str, pa.Array]:
        """Take an array of `type` apart into the columns, by name."""
        ...

    def values(self, keys: pa.Array) -> list[Key]:
        """Return an array of `type` as Python values."""
        ...


def key_names(key: str | Sequence[str]) -> KeyNames:
    """Return one name as it is, several as a tuple, a list of one as that name.

    Raises:
        SchemaError: there is no name, one stands twice, or it is no text.
    """
    if isinstance(key, str):
        return key
    names = tuple(key) if isinstance(key, Sequence) else ()
    if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        message = f"key={key!r} names no key."
        raise SchemaError(message, "give a column's name, or a list of different ones.")
    return names[0] if len(names) == 1 else names


def key_of(schema: pa.Schema, key: KeyNames) -> KeyColumn:
    """Describe columns of `schema` as a key.

    Raises:
        SchemaError: a column isn't there, or its type can't be a key.
    """
    if isinstance(key, str):
        return PlainKey.of(schema, key)
    return CompositeKey(tuple(PlainKey.of(schema, name) for name in key))
