"""The main job, step by step: ingest, block, match, evaluate, precompute.

Every step that writes carries a run id, so a second demo in the same place finds what is there,
and one that was killed goes on where it stopped.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeflow.cache.precompute import precompute
from lakeflow.demo.calibrate import Calibration, calibrate
from lakeflow.demo.evaluate import Evaluation, evaluate
from lakeflow.demo.footprint import watch_memory
from lakeflow.demo.geonames import TABLES, load_tables_apart
from lakeflow.demo.index import Index, build_index
from lakeflow.demo.layout import drop_tables, open_table
from lakeflow.demo.tasks import answer, block_shard, match_shard
from lakeflow.runs.foreach import foreach
from lakeflow.runs.outputs.table_sink import TableSink
from lakeflow_io.errors import PlanChangedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from lakeflow.cache.cache import Cache
    from lakeflow.lake import Lake
    from lakeflow.runs.outputs.sink import Publication
    from lakeflow.runs.run import Run
    from lakeflow.table import Table

__all__ = ["DemoResult", "run_demo"]

_INGEST, _BLOCK, _MATCH = "demo-ingest", "demo-block", "demo-match"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The demo's figures; what `--json` prints."""

    pairs: int
    blocking_recall: float
    matches: int
    precision: float
    recall: float
    f1: float
    pairs_per_second: int
    """Of the match run: reading, scoring, writing and committing."""
    seconds: float
    """Of this call."""
    peak_rss_mb: int
    """Of all processes together."""
    match_snapshot_id: int
    match_snapshots: int
    cache_version: str


def run_demo(
    lake: Lake,
    cache: Cache,
    *,
    engine: Any = "dask",
    countries: Sequence[str] = (),
    fresh: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[DemoResult, Evaluation]:
    """Run the job, or as much of it as isn't done yet.

    Args:
        lake: Gets the tables `kg.*`.
        cache: Gets the answers.
        engine: As in `foreach`.
        countries: ISO codes, for a smaller job; empty for all.
        fresh: Drop the demo's tables first.
        say: Told about each step, in one line.

    Raises:
        AlreadyExistsError: a table `kg.*` is there that isn't the demo's.
        PlanChangedError: an earlier demo of another version is there.
    """
    started = time.perf_counter()
    with watch_memory() as footprint:
        job = _Job(lake, cache, engine, tuple(sorted(set(countries))), say)
        tables = job.ingest(fresh=fresh)
        run_out = job.match(tables)
        evaluation = job.evaluate(tables)
        version = job.precompute(run_out.id)
    matches = lake.table("kg.matches")
    result = DemoResult(
        pairs=run_out.rows_in,
        blocking_recall=round(evaluation.blocking_recall, 4),
        matches=evaluation.matches,
        precision=round(evaluation.precision, 4),
        recall=round(evaluation.recall, 4),
        f1=round(evaluation.f1, 4),
        pairs_per_second=round(run_out.rows_in / run_out.seconds),
        seconds=round(time.perf_counter() - started, 1),
        peak_rss_mb=footprint.peak_rss_bytes // 2**20,
        match_snapshot_id=int(run_out.id),
        match_snapshots=len(matches.snapshots()),
        cache_version=version,
    )
    return result, evaluation


class _Job:
    """The steps, and what they share."""

    def __init__(
        self, lake: Lake, cache: Cache, engine: Any, countries: tuple[str, ...], say: Callable[[str], None]
    ) -> None:
        self._lake = lake
        self._cache = cache
        self._engine = engine
        self._countries = countries
        self._content = ",".join(countries) or "the world"
        self._say = say

    def ingest(self, *, fresh: bool) -> dict[str, Table]:
        """GeoNames -> kg.places, kg.names, kg.aliases, kg.truth."""
        if not fresh and all(self._ingested(name) for name in TABLES):
            self._say("ingest   kg.places, kg.names, kg.aliases, kg.truth are there already")
            return {name: self._open(name) for name in TABLES}
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="lakeflow-demo-") as folder:
            data = load_tables_apart(Path(folder), self._countries)
            if fresh and (dropped := drop_tables(self._lake)):
                self._say(f"fresh    dropped {', '.join(dropped)}")
            tables = {name: self._open(name) for name in TABLES}
            for name, table in tables.items():
                table.append(data[name], run_id=_INGEST)
                self._say(f"ingest   kg.{name}: {data[name].num_rows:,} rows")
        self._say(f"ingest   done in {time.perf_counter() - began:.1f} s")
        return tables

    def _open(self, name: str) -> Table:
        return open_table(self._lake, name, self._content)

    def _ingested(self, name: str) -> bool:
        return self._lake.has_table(f"kg.{name}") and self._open(name).find_run(_INGEST) is not None

    def match(self, tables: dict[str, Table]) -> Publication:
        """kg.aliases -> kg.pairs -> kg.matches, each in one commit."""
        pairs, matches = (self._open(name) for name in ("pairs", "matches"))
        there = TableSink(matches).find(_MATCH)
        if there is not None:
            self._say(f"block    kg.pairs is there already: {there.rows_in:,} candidate pairs")
            self._say(f"match    kg.matches is there already: {there.rows:,} rows, snapshot {there.id}")
            return there
        index = self._build_index(tables)
        with _workers(self._engine) as engine:
            self._block(tables, pairs, index, engine)
            calibration = self._calibrate(tables, index)
            return self._match(tables, pairs, matches, index, calibration, engine)

    def _block(self, tables: dict[str, Table], pairs: Table, index: Index, engine: Any) -> None:
        run = _foreach(tables["aliases"], block_shard, pairs, _BLOCK, engine, shared=index.tables())
        self._say(f"block    kg.pairs: {run.rows:,} candidate pairs in {run.seconds:.1f} s")

    def _match(
        self,
        tables: dict[str, Table],
        pairs: Table,
        matches: Table,
        index: Index,
        calibration: Calibration,
        engine: Any,
    ) -> Publication:
        aliases = tables["aliases"].scan().read().to_arrow().sort_by("alias_id")
        shared = {"aliases": aliases, "names": index.names, "places": index.places, "regions": index.regions}
        params = {"network": calibration.network.to_json(), "threshold": calibration.threshold}
        run = _foreach(pairs, match_shard, matches, _MATCH, engine, shared=shared, params=params)
        done = run.publication
        assert done is not None  # noqa: S101  (a foreach into a table publishes)
        self._say(
            f"match    kg.matches: {done.rows:,} rows in {done.seconds:.1f} s "
            f"({done.rows_in / done.seconds:,.0f} pairs/s), one snapshot: {done.id}"
        )
        return done

    def evaluate(self, tables: dict[str, Table]) -> Evaluation:
        """kg.matches against kg.truth."""
        read = {
            "pairs": self._lake.table("kg.pairs").scan(["alias_id", "name_id"]).read().to_arrow(),
            "matches": self._lake.table("kg.matches").scan(["alias_id", "place_id"]).read().to_arrow(),
            **{name: tables[name].scan().read().to_arrow() for name in ("names", "aliases", "truth")},
        }
        found = evaluate(**read)
        self._say(
            f"evaluate precision {found.precision:.3f}, recall {found.recall:.3f}, F1 {found.f1:.3f} "
            f"(blocking recall {found.blocking_recall:.3f})"
        )
        return found

    def precompute(self, snapshot_id: str) -> str:
        """kg.matches -> the cache."""
        run_id = f"demo-{snapshot_id}"
        there = next((version for version in self._cache.versions() if version.run_id == run_id), None)
        if there is not None:
            self._say(f"cache    {self._cache.name} is there already: {there.rows:,} keys, version {there.id}")
            return there.id
        places = self._lake.table("kg.places").scan(["place_id", "name", "country", "admin1", "population"])
        run = precompute(
            self._lake.table("kg.matches").scan(["alias", "place_id", "score"]).shards(by="partition"),
            answer,
            cache=self._cache,
            key="alias",
            run_id=run_id,
            shared={"places": places.read()},
        )
        self._say(f"cache    {self._cache.name}: {run.rows:,} keys in {run.seconds:.1f} s, version {run.version_id}")
        return run.version_id

    def _build_index(self, tables: dict[str, Table]) -> Index:
        began = time.perf_counter()
        names = tables["names"].scan().read().to_arrow().sort_by("name_id")
        places = tables["places"].scan().read().to_arrow().sort_by("place_id")
        index = build_index(names, places)
        self._say(f"index    {index.postings.num_rows:,} postings in {time.perf_counter() - began:.1f} s")
        return index

    def _calibrate(self, tables: dict[str, Table], index: Index) -> Calibration:
        began = time.perf_counter()
        names = tables["names"].scan().read().to_arrow().sort_by("name_id")
        calibration = calibrate(names, tables["places"].scan().read().to_arrow(), index)
        self._say(
            f"fit      threshold {calibration.threshold:.3f} from {calibration.sample:,} names in the role of aliases, "
            f"in {time.perf_counter() - began:.1f} s (F1 expected: {calibration.expected_f1:.3f})"
        )
        return calibration


@contextmanager
def _workers(engine: Any) -> Generator[Any]:
    """One cluster for all the steps that need one, so that its processes start once."""
    if engine != "dask":
        yield engine
        return
    from lakeflow_engines.executors.local_cluster import local_cluster

    with local_cluster() as client:
        yield client


def _foreach(source: Table, function: Any, into: Table, run_id: str, engine: Any, **options: Any) -> Run:
    shards = source.scan().shards(by="partition")
    try:
        return foreach(shards, function, into=into, run_id=run_id, engine=engine, **options)
    except PlanChangedError as error:
        error.hint = "an earlier demo was interrupted or is of another version: run `lakeflow demo --fresh`."
        raise
