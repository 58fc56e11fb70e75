"""An equality delete file -> the columns that it compares, in the table's types."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow_io.iceberg.deletes.contents import contents_of, damaged
from lakeflow_io.iceberg.deletes.key import leaf
from lakeflow_io.iceberg.internals import arrow_schema
from lakeflow_io.iceberg.plan import Piece
from lakeflow_io.iceberg.projection import FileProjection

if TYPE_CHECKING:
    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.iceberg.deletes.key import Key
    from lakeflow_io.iceberg.plan import ReadSpec
    from lakeflow_io.parquet.ranges import FetchedRanges

__all__ = ["key_columns"]


def key_columns(delete: DeleteFile, key: Key, data: FetchedRanges, spec: ReadSpec) -> list[pa.Array]:
    """The values of each compared column, one row a delete.

    Args:
        delete: The file.
        key: What it compares.
        data: All of its bytes.
        spec: The scan's: how columns without field ids are matched.

    Raises:
        CorruptFileError: it doesn't decode, or lacks a column that it compares.
    """
    contents = contents_of(delete, data)
    target = arrow_schema(key.schema)
    own = replace(spec, filter_columns=key.schema, match="id")
    as_piece = Piece(delete.path, delete.size, 0, delete.size, delete.rows, "", "")
    projection = FileProjection.of(own, as_piece, contents.schema, target)
    if delete.format != "PARQUET":
        projection.refuse_other_zones(delete.path)
    for field_id in key.ids:
        if field_id not in projection.present.field_ids:
            raise damaged(delete.path, f"lacks the column with id {field_id}, whose values it compares.")
    names = tuple(target.names)
    tops = {field.field_id: field.name for field in key.schema.fields}
    parts: list[list[pa.Array]] = [[] for _ in key.leaves]
    for group in contents.tables(projection.fetched(names), ()):
        decoded = dict(zip(group.column_names, group.columns, strict=True))
        columns = projection.shape(delete.path, names, decoded, group.num_rows, {})
        for part, (top, path) in zip(parts, key.leaves, strict=True):
            part.append(leaf(columns, tops[top], path))
    return [pa.concat_arrays(part) if part else pa.array([], _kind(target, tops[top], path))
            for part, (top, path) in zip(parts, key.leaves, strict=True)]  # fmt: skip


def _kind(schema: pa.Schema, name: str, path: tuple[str, ...]) -> pa.DataType:
    kind = schema.field(name).type
    for step in path:
        kind = kind.field(step).type
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
