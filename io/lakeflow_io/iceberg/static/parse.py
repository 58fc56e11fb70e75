"""The bytes of a metadata file -> pyiceberg's metadata, or what about it isn't read, by name.

pyiceberg would take some of what it doesn't know for something that it knows: a transform whose name
begins as that of another, a partition field of several columns. Here those become transforms that
nobody knows, by which nothing is pruned.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import CorruptFileError, LakeflowError, UnsupportedError
from lakeflow_io.iceberg.whole import check_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.table.metadata import TableMetadata

__all__ = ["parse_metadata"]

_GZIP = b"\x1f\x8b"
_KNOWN_TRANSFORM = re.compile(r"identity|void|year|month|day|hour|(?:bucket|truncate)\[\d+\]")
_KEY_ID = "encryption.key-id"
_NANOSECONDS = ("timestamp_ns", "timestamptz_ns")
_RESTORE = "restore the file, or open an older one."


def parse_metadata(uri: str, data: bytes | memoryview) -> TableMetadata:
    """Decode a metadata file.

    Args:
        uri: Its name, for messages.
        data: Its bytes, compressed with gzip or not, whatever the name says.

    Raises:
        CorruptFileError: it is no table metadata, or contradicts itself.
        UnsupportedError: the table needs a reader that knows more; says what of.
    """
    from pyiceberg.table.metadata import TableMetadataUtil

    found = _json(uri, bytes(data))
    try:
        _refuse_unknown(uri, found)
        for spec in _specs(found):
            _forget_transforms(spec)
        metadata = TableMetadataUtil.parse_raw(json.dumps(found))
    except LakeflowError:
        raise
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise CorruptFileError(f"{uri} is no table metadata: {said}", _RESTORE) from error
    _refuse_contradictions(uri, metadata)
    return metadata


def _json(uri: str, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(gzip.decompress(data) if data[:2] == _GZIP else data)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        said = str(error).splitlines()[0]
        raise CorruptFileError(f"{uri} does not decode: {said}", _RESTORE) from error
    if not isinstance(found, dict) or "format-version" not in found:
        raise CorruptFileError(f"{uri} is no table metadata: it has no format version.", _RESTORE)
    return found


def _refuse_unknown(uri: str, found: dict[str, Any]) -> None:
    check_version(uri, found["format-version"])
    snapshots = [each for each in found.get("snapshots") or [] if isinstance(each, dict)]
    properties = found.get("properties") or {}
    if found.get("encryption-keys") or _KEY_ID in properties or any(each.get("key-id") for each in snapshots):
        raise UnsupportedError(f"The table of {uri} is encrypted.", "read it with the engine that has its keys.")
    if any("manifest-list" not in each for each in snapshots):
        raise UnsupportedError(
            f"{uri} has a snapshot that lists its manifests itself, as the first tables did.",
            "expire old snapshots, or rewrite manifests, with the engine that wrote it.",
        )
    schemas = [*(found.get("schemas") or []), *([found["schema"]] if isinstance(found.get("schema"), dict) else [])]
    for schema in schemas:
        fields = list(_fields("", schema))
        if len({field_id for _, field_id, _, _ in fields}) < len(fields):
            raise CorruptFileError(f"{uri}: schema {schema.get('schema-id', 0)} has two fields of one id.", _RESTORE)
        for name, _, kind, default in fields:
            # pyiceberg doesn't decode a moment in nanoseconds.
            if isinstance(kind, str) and (not _is_known(kind) or (default is not None and kind in _NANOSECONDS)):
                what = f"of the type {kind!r}" + (" with a default" if default is not None else "")
                raise UnsupportedError(
                    f"The column {name!r} in {uri} is {what}, which isn't read.",
                    "read the table with the engine that wrote it.",
                )


def _fields(name: str, kind: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Dotted name, id, type and default of each field within a type."""
    if not isinstance(kind, dict):
        return
    inner = [(each.get("name"), each.get("id"), each.get("type"), each) for each in kind.get("fields") or []]
    inner += [(part, kind.get(f"{part}-id"), kind[part], {}) for part in ("element", "key", "value") if part in kind]
    for own, field_id, within, field in inner:
        path = f"{name}.{own}".lstrip(".")
        yield path, field_id, within, field.get("initial-default")
        yield from _fields(path, within)


def _is_known(kind: str) -> bool:
    from pyiceberg.types import NestedField

    try:
        NestedField.model_validate({"id": 1, "name": "x", "required": False, "type": kind})
    except Exception:  # noqa: BLE001  (ValueError, ValidationError or an assertion: not a type that it knows)
        return False
    return True


def _specs(found: dict[str, Any]) -> Iterator[Any]:
    for spec in found.get("partition-specs") or []:
        yield spec.get("fields") if isinstance(spec, dict) else None
    yield found.get("partition-spec")


def _forget_transforms(fields: Any) -> None:
    for field in fields if isinstance(fields, list) else []:
        if not isinstance(field, dict):
            continue
        sources = field.get("source-ids")
        if isinstance(sources, list) and sources and "source-id" not in field:
            field["source-id"] = sources[0]
        several = isinstance(sources, list) and len(sources) > 1
        if several or not _KNOWN_TRANSFORM.fullmatch(str(field.get("transform"))):
            field["transform"] = "unknown"


def _refuse_contradictions(uri: str, metadata: TableMetadata) -> None:

    if len({schema.schema_id for schema in metadata.schemas}) < len(metadata.schemas):
        raise CorruptFileError(f"{uri} has two schemas of one id.", _RESTORE)
    there = {snapshot.snapshot_id for snapshot in metadata.snapshots}
    for name, ref in metadata.refs.items():
        if ref.snapshot_id not in there:
            raise CorruptFileError(f"{uri}: {name!r} is at snapshot {ref.snapshot_id}, which isn't there.", _RESTORE)
    main, current = metadata.refs.get("main"), metadata.current_snapshot_id
    if current is not None and (current not in there or (main is not None and main.snapshot_id != current)):
        raise CorruptFileError(f"{uri}: its current snapshot {current} isn't main's, or isn't there.", _RESTORE)
