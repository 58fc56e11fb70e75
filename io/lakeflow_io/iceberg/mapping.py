"""The name mapping of a table: which column a file without field ids means by a name.

A name belongs for good to the column that had it first. Were it handed on to a column that is added
later under the same name, the values of the old one would show under the new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow_io.iceberg.expected import child_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

__all__ = ["NAME_MAPPING", "mapping_updates"]

NAME_MAPPING = "schema.name-mapping.default"
"""The table property that holds it, as JSON."""


def mapping_updates(table: Table, schema: Schema) -> list[Any]:
    """What keeps a table's mapping, if it has one, right for a new schema."""
    from pyiceberg.table.name_mapping import NameMapping
    from pyiceberg.table.update import SetPropertiesUpdate

    mapping = table.metadata.name_mapping()
    if mapping is None:
        return []
    text = NameMapping(_extended(list(mapping), schema.fields)).model_dump_json()
    return [SetPropertiesUpdate(updates={NAME_MAPPING: text})]


def _extended(mapped: Sequence[Any], fields: Sequence[Any]) -> list[Any]:
    """One level of the mapping, with the names that columns have now; what was dropped stays."""
    taken = {name for each in mapped for name in each.names}
    now, known = {field.field_id: field for field in fields}, {each.field_id for each in mapped}
    found = []
    for each in mapped:
        field = now.get(each.field_id)
        new = [] if field is None or field.name in taken else [field.name]
        inside = each.fields if field is None else _extended(each.fields, child_fields(field.field_type))
        found.append(_entry(each.field_id, [*each.names, *new], inside))
    for field in fields:
        if field.field_id not in known and field.name not in taken:
            inside = _extended([], child_fields(field.field_type))
            found.append(_entry(field.field_id, [field.name], inside))
    return found


def _entry(field_id: int, names: list[str], inside: list[Any]) -> Any:
    from pyiceberg.table.name_mapping import MappedField

    return MappedField.model_validate({"field-id": field_id, "names": names, "fields": inside})
