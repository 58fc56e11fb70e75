"""`manifest.json`: what a version holds, where it came from, and the checksums of its files."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakeflow.cache.files.columns import schema_at
from lakeflow.cache.files.durable import read_small
from lakeflow.cache.files.failures import reading
from lakeflow.cache.files.layout import LAYOUTS, Layout
from lakeflow.cache.keys.column import KeyNames, key_names
from lakeflow.cache.keys.hashing import HASH_NAME, JOINED_HASH_NAME
from lakeflow_io.errors import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

__all__ = [
    "MANIFEST_NAME",
    "FileFacts",
    "Manifest",
    "Origin",
    "ShardFacts",
    "parse_manifest",
    "read_manifest",
    "shard_of_json",
    "shard_to_json",
]

MANIFEST_NAME = "manifest.json"
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a version."""

    name: str
    bytes: int
    crc32: int


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """One shard: a contiguous range of key hashes."""

    rows: int
    first_hash: int
    last_hash: int
    payload: FileFacts
    index: FileFacts
    owner: str
    """The version that wrote it; later ones link its files, or name them."""
    bucket: int | None = None
    """The one that all of its keys are in, where the version's shards are told apart by buckets."""
    row_major: FileFacts | None = None
    """Its rows once more, where the version has them."""

    @property
    def files(self) -> tuple[FileFacts, ...]:
        """All of them, the payload first: the others follow from it."""
        return (self.payload, self.index, *([self.row_major] if self.row_major else []))

    def with_files(self, payload: FileFacts, index: FileFacts, row_major: FileFacts | None = None) -> ShardFacts:
        """The same shard in files of other names."""
        return replace(self, payload=payload, index=index, row_major=row_major)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a version was made from."""

    run_id: str | None = None
    plan_digest: str = ""
    source: str | None = None
    """The input: `table@snapshot`."""
    function: str | None = None
    """What computed the rows: `module:qualified name`."""
    code: str | None = None
    """Its fingerprint: of another function, or of one that was changed, it is another."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version."""

    version: str
    created: datetime
    key: KeyNames
    """The key column, or the columns that are it together."""
    schema: pa.Schema
    shards: tuple[ShardFacts, ...]
    """By hash range, ascending, within each bucket; none where the version is empty."""
    origin: Origin
    buckets: int | None = None
    """Into how many buckets keys are cut, by Iceberg's transform `bucket[N]`; None where they aren't."""
    layout: Layout = "columns"
    """Whether shards have a third file, with their rows for look-ups."""

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def files(self) -> list[FileFacts]:
        """Every file but the manifest."""
        return [file for shard in self.shards for file in shard.files]

    @property
    def reused_bytes(self) -> int:
        """Bytes of files that an earlier version wrote."""
        return sum(file.bytes for shard in self.shards if shard.owner != self.version for file in shard.files)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(file.bytes for file in self.files)

    def to_json(self) -> bytes:
        """Return indented JSON; hashes as 16 hexadecimal digits, as JSON readers round large numbers."""
        content = {
            "format": _FORMAT,
            "version": self.version,
            "created": self.created.isoformat(),
            "rows": self.rows,
            "bytes": self.size_bytes,
            "key": self.key,
            "hash": _hash_name(self.key, self.buckets),
            "checksum": "crc32",
            "layout": self.layout,
            "columns": {field.name: str(field.type) for field in self.schema},
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            **({} if self.buckets is None else {"buckets": self.buckets}),
            **asdict(self.origin),
            "shards": [shard_to_json(shard) for shard in self.shards],
        }
        return json.dumps(content, indent=1).encode() + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a version's folder.

    Raises:
        ObjectNotFoundError: there is none.
        CorruptFileError, UnsupportedError: as `parse_manifest`.
    """
    path = folder / MANIFEST_NAME
    with reading(path):
        content, _ = read_small(path)
    return parse_manifest(content, path)


def parse_manifest(data: bytes | memoryview, path: Path | str) -> Manifest:
    """Decode what was read from `path`.

    Raises:
        CorruptFileError: it can't be decoded.
        UnsupportedError: another version of lakeflow wrote it.
    """
    with reading(path):
        content = json.loads(str(data, "utf-8"))
        key = key_names(content["key"])
        buckets = content.get("buckets")
        known = (_FORMAT, _hash_name(key, buckets))
        seen = (content["format"], content["hash"])
        if seen != known:
            message = f"{path} has format and hash {seen}; this version of lakeflow reads {known}."
            raise UnsupportedError(message, "upgrade lakeflow, or build the cache again: publish a version over it.")
        return Manifest(
            version=content["version"],
            created=datetime.fromisoformat(content["created"]),
            key=key,
            schema=schema_at(base64.b64decode(content["schema"])),
            shards=tuple(shard_of_json(shard, content["version"]) for shard in content["shards"]),
            origin=Origin(**{field.name: content[field.name] for field in fields(Origin)}),
            buckets=buckets,
            layout=_layout_of(content, path),
        )


def _layout_of(content: dict[str, Any], path: Path | str) -> Layout:
    layout: Layout = content.get("layout", "columns")
    if layout not in LAYOUTS:
        message = f"{path} has layout {layout!r}; this version of lakeflow reads {', '.join(LAYOUTS)}."
        raise UnsupportedError(message, "upgrade lakeflow, or build the cache again: publish a version over it.")
    return layout


def _hash_name(key: KeyNames, buckets: int | None) -> str:
    name = HASH_NAME if isinstance(key, str) else JOINED_HASH_NAME
    return name if buckets is None else f"{name}/iceberg-buckets-1"  # who doesn't know of them would find no key


def shard_to_json(shard: ShardFacts) -> dict[str, Any]:
    """Return what a manifest says of a shard, and a task of a segment."""
    return {
        "rows": shard.rows,
        "first_hash": f"{shard.first_hash:016x}",
        "last_hash": f"{shard.last_hash:016x}",
        "payload": asdict(shard.payload),
        "index": asdict(shard.index),
        "owner": shard.owner,
        **({} if shard.bucket is None else {"bucket": shard.bucket}),
        **({"rows_file": asdict(shard.row_major)} if shard.row_major else {}),
    }


def shard_of_json(content: dict[str, Any], version: str) -> ShardFacts:
    """Return the facts that `shard_to_json` wrote; `version` is the owner where none is named.

    Raises:
        KeyError, TypeError, ValueError: it didn't.
    """
    return ShardFacts(
        rows=content["rows"],
        first_hash=int(content["first_hash"], 16),
        last_hash=int(content["last_hash"], 16),
        payload=FileFacts(**content["payload"]),
        index=FileFacts(**content["index"]),
        owner=content.get("owner", version),
        bucket=content.get("bucket"),
        row_major=FileFacts(**content["rows_file"]) if "rows_file" in content else None,
    )
