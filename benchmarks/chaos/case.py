"""One run: disturbed as planned, resumed until it is done, checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.chaos import job
from benchmarks.chaos.check import Found, check_rows, orphans
from benchmarks.chaos.driver import run_driver
from benchmarks.chaos.processes import ended, kill
from benchmarks.chaos.proxy import FAULTS

if TYPE_CHECKING:
    from collections import Counter
    from multiprocessing.process import BaseProcess
    from pathlib import Path
    from random import Random

    import numpy as np
    from pyiceberg.catalog import Catalog

    import lakeflow as lf
    from benchmarks.chaos.processes import Cluster, Processes
    from benchmarks.chaos.proxy import CatalogProxy

__all__ = ["VICTIMS", "Case", "Disturbances", "Site"]

VICTIMS = ("driver", "worker", "scheduler")
_WEIGHTS, _SHARE = (5, 4, 1), 0.25
_TRIES, _STUCK_SECONDS = 12, 300
_FOREIGN = {"id": [-1], "value": [0]}


@dataclass
class Site:
    """Where all runs take place."""

    processes: Processes
    cluster: Cluster
    catalog: Catalog
    """pyiceberg's, past the proxy."""
    lake: lf.Lake
    """lakeflow's, past the proxy."""
    proxy: CatalogProxy
    properties: dict[str, str]
    """The catalog's, through the proxy."""
    source: str
    ids: np.ndarray
    folder: Path
    span: float
    """Seconds that an undisturbed run takes."""
    counts: Counter[str]
    """Of kills and other disturbances."""
    found: Found = field(default_factory=Found)


@dataclass(frozen=True, slots=True)
class Disturbances:
    """What happens to a run."""

    kills: tuple[str, ...] = ()
    """Whom `kill -9` meets, one after another, each at a random moment of another try."""
    faults: tuple[str, ...] = ()
    """What happens to its commits."""
    twins: bool = False
    """Whether two drivers are at it until nobody is killed any more."""
    expires: bool = False
    """Whether another writer commits and all older snapshots expire before the last try."""
    outputs: int = 1

    @classmethod
    def drawn(cls, random: Random) -> Disturbances:
        """Some of all kinds."""
        return cls(
            tuple(random.choices(VICTIMS, _WEIGHTS, k=random.choice([1, 1, 2, 3]))),
            tuple(random.choices(FAULTS, k=random.choice([0, 0, 1, 2]))),
            random.random() < _SHARE,
            random.random() < _SHARE,
            2 if random.random() < _SHARE else 1,
        )


class Case:
    """A run and what happens to it."""

    def __init__(self, site: Site, number: int, disturbances: Disturbances, random: Random) -> None:
        self.site, self.what, self.random = site, disturbances, random
        self.run_id = f"chaos-{number}"
        self.outputs = [f"chaos.out_{number}_{index}" for index in range(disturbances.outputs)]
        self._answers = 0
        self._foreign = 0

    def play(self) -> None:
        """Run it to its end."""
        for name in self.outputs:
            self.site.lake.create_table(name, job.SCHEMA)
        self.site.proxy.plan(self.what.faults)
        for victim in self.what.kills:
            self._disturbed(victim)
        if self.what.expires:
            self._expire()
        if not self._done():
            self.site.found.stuck += 1
        self.site.counts.update(self.site.proxy.met)
        self.site.proxy.met.clear()
        self._check()

    def _disturbed(self, victim: str) -> None:
        """Drivers at work, and a kill at a random moment."""
        self.site.cluster.mend()
        drivers = [self._driver() for _ in range(2 if self.what.twins else 1)]
        self.site.counts["twins"] += self.what.twins
        ended([drivers[0][0]], self.random.uniform(0.05, 1.2) * self.site.span)
        cluster = self.site.cluster
        target: BaseProcess | None = drivers[0][0]
        if victim != "driver":
            target = cluster.scheduler if victim == "scheduler" else self.random.choice(cluster.workers)
        if target is not None and kill(target):
            self.site.counts[f"kill {victim}"] += 1
            self.site.counts["kills"] += 1
        cluster.mend()
        self._wait(drivers)

    def _done(self) -> bool:
        """Run it until it says that it is done."""
        for _ in range(_TRIES):
            self.site.cluster.mend()
            if any("snapshots" in said for said in self._wait([self._driver()])):
                return True
        return False

    def _driver(self) -> tuple[BaseProcess, Path]:
        self._answers += 1
        answer = self.site.folder / f"{self.run_id}-{self._answers}.json"
        settings: dict[str, Any] = {
            "catalog": self.site.properties,
            "source": self.site.source,
            "outputs": self.outputs,
            "run_id": self.run_id,
            "engine": self.site.cluster.address,
            "cache": str(self.site.folder / "cache"),
        }
        return self.site.processes.start(run_driver, settings, str(answer)), answer

    def _wait(self, drivers: list[tuple[BaseProcess, Path]]) -> list[dict[str, Any]]:
        """What drivers said; one that doesn't end is killed, and counts as stuck."""
        if not ended([process for process, _ in drivers], _STUCK_SECONDS):
            self.site.found.stuck += 1
        said = []
        for process, answer in drivers:
            kill(process)
            if answer.exists():
                said.append(json.loads(answer.read_text(encoding="utf-8")))
                answer.unlink()
        for each in said:
            self.site.counts["errors"] += "error" in each
            if each.get("error") == "unexpected":
                self.site.found.unexpected.append(each["traceback"])
        return said

    def _expire(self) -> None:
        """Another writer appends, and all snapshots but its own expire."""
        for name in self.outputs:
            self.site.lake.table(name).append(_FOREIGN)
            table = self.site.catalog.load_table(name)
            current = table.metadata.current_snapshot_id
            old = [each.snapshot_id for each in table.metadata.snapshots if each.snapshot_id != current]
            if old:
                table.maintenance.expire_snapshots().by_ids(old).commit()
                self.site.counts["expired snapshots"] += len(old)
        self._foreign = 1

    def _check(self) -> None:
        site = self.site
        for index, name in enumerate(self.outputs):
            ids = site.ids if len(self.outputs) == 1 else site.ids[site.ids % 2 == index]
            check_rows(site.catalog, name, self.run_id, ids, self._foreign, site.found)
        left = orphans(site.catalog, site.properties, self.outputs)
        site.counts["orphans"] += len(left)
        # What another writer leaves when its commit is disturbed isn't the run's.
        known = [uri for uri in left if uri.rpartition("/")[2].startswith(f"{self.run_id}-")]
        site.found.orphans_unrecorded += len(left) - len(known)
        site.lake.collect_runs(older_than=timedelta(0))
        site.found.orphans_left += len(orphans(site.catalog, site.properties, self.outputs))
        for name in self.outputs:
            site.lake.drop_table(name)
