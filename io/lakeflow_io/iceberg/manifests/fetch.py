"""Manifests, fetched and decoded many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakeflow_io.errors import CorruptFileError
from lakeflow_io.iceberg.manifests import remembered
from lakeflow_io.iceberg.manifests.entries import read_manifest
from lakeflow_io.storage import open_transport
from lakeflow_io.storage.hedged import get_hedged
from lakeflow_io.storage.immutable import ImmutableCache

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from lakeflow_io.iceberg.manifests.entries import Entries, Extras
    from lakeflow_io.iceberg.manifests.listing import ManifestFile
    from lakeflow_io.storage.transport import Transport

    T = TypeVar("T")

__all__ = ["MetadataFiles"]

# Writers aim at 8 MiB.
_LARGEST_BYTES = 32 * 2**20
# Fetching is waiting: more than the cores at once, as long as what is there together isn't much.
_MOST_AT_ONCE, _BYTES_AT_ONCE = 64, 128 * 2**20


@dataclass(slots=True)
class MetadataFiles:
    """Manifest lists and manifests of one store.

    Args:
        store: Its properties.
    """

    store: Mapping[str, str]
    _transport: Transport = field(init=False)
    _cache: ImmutableCache = field(init=False)

    def __post_init__(self) -> None:
        self._transport = open_transport(self.store)
        # What is decoded is remembered by the process, so the bytes needn't be.
        self._cache = ImmutableCache("manifest", self.store, largest=_LARGEST_BYTES, in_memory=False)

    def decoded(self, uri: str, length: int, decode: Callable[[memoryview], T]) -> T:
        """A file through its decoder: from what is remembered, else in one request.

        Args:
            uri: The file.
            length: Bytes, as far as they are known; else 0.
            decode: What makes something of all its bytes. Only those that it takes are remembered.

        Raises:
            StoreError: it isn't there, or can't be reached.
        """
        known = self._cache.find([(uri, length)])[0]
        if known is not None:
            try:
                return decode(memoryview(known))
            except CorruptFileError:  # it may be what is remembered that is damaged
                self._cache.forget([(uri, length)])
        data = get_hedged(self._transport, uri, length)
        found = decode(data)
        self._cache.keep(uri, length, bytes(data))
        self._cache.save(enough=True)
        return found

    def entries(self, manifests: Sequence[ManifestFile], extras: Extras, then: Callable[[Entries], T]) -> list[T]:
        """Live entries of each manifest, in order, through a function.

        Raises:
            CorruptFileError: a manifest is damaged; names it.
            StoreError: one isn't there, or the store can't be reached.
        """

        def one(manifest: ManifestFile) -> T:
            key = remembered.identity(self._cache, manifest.path, manifest.length)
            found = remembered.decoded.recall(key, extras)
            if found is None:
                wider = remembered.decoded.wider(key, extras)
                found = self.decoded(manifest.path, manifest.length, lambda data: read_manifest(manifest, data, wider))
                remembered.decoded.keep(key, wider, found)
            return then(found)

        if len(manifests) <= 1:
            result = [one(manifest) for manifest in manifests]
        else:
            largest = max(1, *(manifest.length for manifest in manifests))
            width = min(_MOST_AT_ONCE, max(4, _BYTES_AT_ONCE // largest), len(manifests))
            with ThreadPoolExecutor(width, "lakeflow-manifests") as pool:
                result = list(pool.map(one, manifests))
        self._cache.save()
        return result
