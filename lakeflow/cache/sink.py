"""`CacheSink`: a foreach run's output that becomes one new version of a cache."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lakeflow.cache.building.build import build
from lakeflow.cache.building.segment import CacheWriter, Segment
from lakeflow.cache.building.update import publish_changes
from lakeflow.cache.files.manifest import Manifest, Origin
from lakeflow.cache.publishing.checks import shown
from lakeflow.cache.publishing.leftovers import remove_leftovers
from lakeflow.cache.publishing.publish import find_run, publish, published
from lakeflow.cache.publishing.records import publication_of
from lakeflow.cache.publishing.retention import Retention
from lakeflow.runs.outputs.sink import Sink
from lakeflow_io.errors import LakeflowError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lakeflow.cache.files.layout import Layout
    from lakeflow.cache.keys.column import KeyNames
    from lakeflow.cache.publishing.checks import Check
    from lakeflow.cache.shelf import Shelf
    from lakeflow.runs.outputs.sink import Publication, RunLabel
    from lakeflow_io.iceberg.pack import PackedManifest

__all__ = ["CacheSink"]

_log = logging.getLogger("lakeflow.cache")


@dataclass(frozen=True)
class CacheSink(Sink):
    """The driver's side of a cache."""

    cache: Shelf
    key: KeyNames
    retention: Retention = field(default_factory=Retention)
    checks: Sequence[Check] = ()
    update: bool = False
    """Whether the rows change the current version, and aren't all of the new one."""
    buckets: int | None = None
    """The N of `bucket[N]` of the key by which the input is cut, where it is."""
    layout: Layout = "columns"
    """Of a version that isn't an update."""

    @property
    def location(self) -> str:
        """The folder of the cache."""
        return self.cache.uri

    @property
    def store_properties(self) -> dict[str, str]:
        """Those of the cache; none where it is a local folder."""
        return self.cache.storage

    def describe(self) -> dict[str, Any]:
        """Which cache, by which key (a list of columns as JSON has it), and whether rows are added to it."""
        key = self.key if isinstance(self.key, str) else list(self.key)
        facts = {"cache": self.cache.name, "root": self.cache.root, "key": key}
        return {**facts, "update": True} if self.update else facts

    def settings(self) -> dict[str, Any]:
        """What stays, how the version lies, by which checks it must pass; checks by their names alone."""
        return {
            "keep": self.retention.keep,
            "grace": self.retention.grace,
            "layout": self.layout,
            "buckets": self.buckets,
            "checks": [shown(check) for check in self.checks],
        }

    def set_as(self, settings: dict[str, Any]) -> CacheSink:
        """Return the output as it was when a run began; with the checks of this one."""
        known = {name: settings[name] for name in ("layout", "buckets") if name in settings}
        kept = {name: settings[name] for name in ("keep", "grace") if name in settings}
        return replace(self, retention=replace(self.retention, **kept), **known)

    def writer(self) -> CacheWriter:
        """Return the worker's side; workers must see a cache's local folder under the same path."""
        return CacheWriter(self.cache.segments(), self.key, self.buckets)

    def head(self) -> None:
        """Nothing: a new version replaces whatever is current."""

    def packer(self) -> None:
        """Nobody: segments are merged in one place."""

    def find(self, run_id: str) -> Publication | None:
        """Return the version that a run published, if it is still kept."""
        for manifest in published(self.cache)[0]:
            if manifest.origin.run_id == run_id:
                return publication_of(manifest)
        return None

    def publish(
        self,
        label: RunLabel,
        staged: Sequence[dict[str, Any]],
        packed: Sequence[PackedManifest] = (),
        check: Callable[[], None] = lambda: None,
    ) -> Publication:
        """Merge segments into a version, make it current, and delete the segments.

        A run that published before gets the version it published, whether or not it is current.

        Raises:
            PlanChangedError: the run id was used with another plan.
            DuplicateKeyError: two rows have one key.
            CheckFailedError: a check failed; the segments stay, for the run to be published with other checks.
            SchemaError: the segments differ in their columns, or there are none.
            StoreError: a file can't be read or written; the old version stays current.
        """
        del packed
        check()
        origin = Origin(label.run_id, label.plan_digest, label.source, label.function or None, label.code or None)
        manifest = find_run(self.cache, origin) or self._build(origin, staged)
        self.writer().discard(staged)
        self._remove_leftovers()
        return publication_of(manifest)

    def _remove_leftovers(self) -> None:
        try:
            remove_leftovers(self.cache)
        except LakeflowError as error:  # it is published all the same
            _log.warning(
                "Segments of attempts that died stay in %s; the next gc removes them: %s", self.cache.place, error
            )

    def _build(self, origin: Origin, staged: Sequence[dict[str, Any]]) -> Manifest:
        store = self.cache.segments()
        try:
            with self.cache.scratch() as scratch:
                segments = [Segment.of(store, fact, scratch) for fact in staged]
                if self.update:
                    return publish_changes(self.cache, self.key, segments, None, origin, self.retention, self.checks)
                with self.cache.claimed() as folder:
                    built = build(folder, segments, self.key, self.layout)
                    return publish(self.cache, folder, built, origin, self.retention, self.checks)
        except ObjectNotFoundError:
            earlier = find_run(self.cache, origin)  # a twin driver published, and deleted the segments
            if earlier is None:
                raise
            return earlier
