"""`import lakeflow` costs next to nothing, and offers exactly what it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lakeflow as lf

HEAVY = {"dask", "distributed", "polars", "duckdb", "pandas", "pyiceberg", "boto3", "pyarrow", "numpy", "obstore"}


def modules_after(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    return set(done.stdout.split())


def test_importing_brings_in_nothing_heavy() -> None:
    """A fresh interpreter has none of the large packages after `import lakeflow`."""
    assert set() == HEAVY & modules_after("import lakeflow")


def test_opening_a_lake_brings_in_no_engine() -> None:
    """Dask and the frame libraries wait for whoever uses them."""
    found = modules_after("import lakeflow; lakeflow.connect; lakeflow.foreach; lakeflow.Table")

    assert set() == {"dask", "distributed", "polars", "duckdb", "boto3"} & found


def test_the_public_names_are_exact_and_sorted() -> None:
    """Adding a public name means adding it here."""
    assert lf.__all__ == sorted(lf.__all__)
    assert lf.__all__ == [
        "Cache", "CacheReader", "CacheVersion", "Client", "DataFrame", "Lake", "LakeflowError", "Run", "RunInfo",
        "Scan", "ScanReport", "Shard", "Snapshot", "Table", "cache", "connect", "errors", "foreach", "open_cache",
        "open_table", "precompute", "read_parquet", "resume", "scan_parquet", "serve",
    ]  # fmt: skip


@pytest.mark.parametrize("name", lf.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each name resolves, is listed by `dir`, and has a docstring."""
    assert getattr(lf, name).__doc__
    assert name in dir(lf)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        lf.nope  # noqa: B018  (looking it up is the act)
