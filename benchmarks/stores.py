"""A store under one profile, with the data sets in it and a catalog beside it."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.s3like import NONE, PROFILES, run_s3like
from benchmarks.tables import make_table

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from benchmarks.s3like import Profile, S3Like

__all__ = ["LOOPBACK", "Store", "run_store", "table_name"]

LOOPBACK = "loopback"
"""The profile that is SeaweedFS itself, without any delay."""
_UPLOADS = 8


@dataclass(frozen=True, slots=True)
class Store:
    """A running store."""

    properties: dict[str, str] = field(repr=False)
    """A catalog's, with the store's."""
    bucket: str
    server: S3Like | None
    """Where requests are counted and faults are set; None for one that can't do that."""
    profile: Profile
    """What it is like."""

    @property
    def control_port(self) -> int | None:
        """Where requests are counted; None where they are not."""
        return self.server and self.server.port

    @property
    def link_bytes_s(self) -> int | None:
        """What all connections get together; None where the profile has no limit."""
        return self.profile.total_bytes_s or None

    def begin_round(self, number: int) -> None:
        """Another luck for the same requests: delays and faults of the profile are drawn with this seed."""
        if self.server is not None:
            self.server.use(replace(self.profile, seed=number))


@contextmanager
def run_store(profile: str, datasets: Iterable[Path]) -> Generator[Store]:
    """Start a store, put the data sets' files there, and register a table `bench.<name>` over each.

    Args:
        profile: `"loopback"`, or the name of one of the S3-like server's.
        datasets: Folders of Parquet files; a folder's name is the data set's.
    """
    with tempfile.TemporaryDirectory(prefix="lakeflow-bench-") as folder:
        catalog = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db"}
        if profile == LOOPBACK:
            from lakeflow.demo.seaweed import run_seaweed

            with run_seaweed(Path(folder) / "seaweed") as seaweed:
                store = Store({**catalog, **seaweed.store_properties}, "plain", None, NONE)
                for each in datasets:
                    _upload(store, each)
                    make_table(store.properties, table_name(each), store.bucket, each)
                yield store
            return
        chosen = PROFILES[profile]
        # What prepares the run meets no delays and no faults.
        with run_s3like("none") as server:
            store = Store({**catalog, **server.store_properties}, server.bucket, server, chosen)
            for each in datasets:
                server.load(each, f"{each.name}/")
                make_table(store.properties, table_name(each), store.bucket, each)
            server.use(chosen)
            yield store


def table_name(dataset: Path) -> str:
    """What a data set's table is called."""
    return f"bench.{dataset.name.replace('-', '_')}"


def _upload(store: Store, folder: Path) -> None:
    import obstore
    from obstore.store import S3Store

    client = S3Store(
        store.bucket,
        endpoint=store.properties["s3.endpoint"],
        region=store.properties["s3.region"],
        access_key_id=store.properties["s3.access-key-id"],
        secret_access_key=store.properties["s3.secret-access-key"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    files = sorted(folder.glob("*.parquet"))
    with ThreadPoolExecutor(_UPLOADS) as pool:
        list(pool.map(lambda path: obstore.put(client, f"{folder.name}/{path.name}", path), files))
