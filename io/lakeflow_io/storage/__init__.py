"""URIs and credentials -> a store; whole-object and ranged reads, atomic writes."""

from __future__ import annotations

from lakeflow_io.storage.memory import MemoryTransport
from lakeflow_io.storage.object_store import ObjectStoreTransport
from lakeflow_io.storage.open import open_transport
from lakeflow_io.storage.transport import ObjectInfo, Transport
from lakeflow_io.storage.upload import Upload

__all__ = [
    "MemoryTransport",
    "ObjectInfo",
    "ObjectStoreTransport",
    "Transport",
    "Upload",
    "open_transport",
]
