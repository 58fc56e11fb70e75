"""A warehouse on a disk that is full in the middle of a run, and has room again when it is resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import lakeflow as lf
from benchmarks.chaos import job
from benchmarks.chaos.check import check_rows
from benchmarks.chaos.driver import run_driver
from benchmarks.chaos.processes import ended, kill

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from benchmarks.chaos.case import Site

__all__ = ["check_full_disk"]

_DISK_BYTES, _TIMES, _SECONDS = 8 << 20, 3, 300


def check_full_disk(site: Site, random: Random) -> str:
    """Fill the disk to different degrees, run, make room, resume, and check the rows.

    Returns:
        What was done, or why it couldn't be: a disk of a few megabytes has to be mounted, which takes root.
    """
    disk = site.folder / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        return "skipped: there is no mount"
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "lakeflow-chaos", str(disk)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return f"skipped: {done.stderr.decode().strip()}"
    try:
        failed = sum(_once(site, disk, number, random) for number in range(_TIMES))
    finally:
        subprocess.run([shutil.which("umount") or "umount", "-l", str(disk)], check=False)
    return f"{_TIMES} runs, {failed} of which met the full disk"


def _once(site: Site, disk: Path, number: int, random: Random) -> bool:
    from pyiceberg.catalog import load_catalog

    properties = {
        "type": "sql",
        "uri": f"sqlite:///{site.folder}/disk-{number}.db",
        "warehouse": f"file://{disk}/warehouse-{number}",
    }
    lake = lf.connect(**properties)
    lake.create_table("chaos.source", job.source_rows(0, 1).schema).append(job.source_rows(0, len(site.ids)))
    lake.create_table("chaos.out", job.SCHEMA)
    settings: dict[str, Any] = {
        "catalog": properties,
        "source": "chaos.source",
        "outputs": ["chaos.out"],
        "run_id": f"full-{number}",
        "engine": site.cluster.address,
        "cache": str(site.folder / "cache"),
    }
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(max(0, free - random.choice([0, 4096, 16384, 32768]))))
    site.cluster.mend()
    first = _driven(site, settings)
    ballast.unlink()
    last = _driven(site, settings)
    if "snapshots" not in last:
        site.found.stuck += 1
    check_rows(load_catalog("lakeflow", **properties), "chaos.out", settings["run_id"], site.ids, 0, site.found)
    shutil.rmtree(disk / f"warehouse-{number}")
    return "error" in first


def _driven(site: Site, settings: dict[str, Any]) -> dict[str, Any]:
    answer = site.folder / "full-disk.json"
    process = site.processes.start(run_driver, settings, str(answer))
    if not ended([process], _SECONDS):
        site.found.stuck += 1
    kill(process)
    said: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
    answer.unlink(missing_ok=True)
    if said.get("error") == "unexpected":
        site.found.unexpected.append(said["traceback"])
    return said
