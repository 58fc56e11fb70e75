"""What a store says of a version that was pushed to it, beside its rows: as JSON."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeflow.cache.files.pointer import Pointer
from lakeflow.cache.keys.column import KeyNames, key_names
from lakeflow.cache.reading.version import CacheVersion
from lakeflow_io.errors import CorruptFileError, UnsupportedError

if TYPE_CHECKING:
    from lakeflow.cache.files.manifest import Manifest

__all__ = ["FORMAT", "PushedVersion"]

FORMAT = 1
"""Of descriptions, and of the rows that `codec` writes."""


@dataclass(frozen=True, slots=True)
class PushedVersion:
    """A version in a store."""

    summary: CacheVersion
    key: KeyNames
    schema: pa.Schema

    @classmethod
    def of(cls, manifest: Manifest) -> PushedVersion:
        """Describe a local version."""
        summary = CacheVersion.of(manifest, Pointer(manifest.version, (manifest.version,)))
        return cls(summary, manifest.key, manifest.schema)

    @classmethod
    def parse(cls, value: bytes, where: str) -> PushedVersion:
        """Read what `to_json` wrote.

        Raises:
            CorruptFileError: it isn't one.
            UnsupportedError: another version of lakeflow wrote it.
        """
        try:
            content = json.loads(value)
            if content["format"] != FORMAT:
                message = f"{where} has format {content['format']}; this version of lakeflow reads {FORMAT}."
                raise UnsupportedError(message, "upgrade lakeflow.")
            summary = CacheVersion(
                id=content["version"],
                rows=content["rows"],
                bytes=content["bytes"],
                created=datetime.fromisoformat(content["created"]),
                source=content["source"],
                run_id=content["run_id"],
                current=True,
            )
            schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(content["schema"])))
            return cls(summary, key_names(content["key"]), schema)
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            message = f"{where} can't be decoded: {error}"
            raise CorruptFileError(message, "delete it and push the cache again.") from error

    def to_json(self) -> str:
        """Return all of it; `columns` says in words what `schema` holds for Arrow."""
        content = {
            "format": FORMAT,
            "version": self.summary.id,
            "rows": self.summary.rows,
            "bytes": self.summary.bytes,
            "created": self.summary.created.isoformat(),
            "source": self.summary.source,
            "run_id": self.summary.run_id,
            "key": self.key,
            "columns": {field.name: str(field.type) for field in self.schema},
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
        }
        return json.dumps(content)
