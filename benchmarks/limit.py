"""How fast a read could be at best here: what the network takes, or what the processor takes.

    limit = round trips x latency + max(bytes / link, (decode CPU + network CPU) / cores)

Each part is measured beside the contenders: `python -m benchmarks.limit < a task as JSON`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import lakeflow as lf
from benchmarks.contender import warm_up
from benchmarks.contenders.lakeflow import STREAM_MEMORY
from benchmarks.workloads import Task
from lakeflow_io.budget import available_cpus, parse_bytes
from lakeflow_io.reader import output_schema, read_batches
from lakeflow_io.storage import MemoryTransport, open_transport

if TYPE_CHECKING:
    from lakeflow_io.iceberg.plan import Piece, ReadSpec
    from lakeflow_io.storage import Transport

__all__ = ["ROUND_TRIPS", "limit_seconds", "measure"]

# One after the other, however clever a reader is: manifest list, manifest, data. The metadata file is
# read when the table is opened, before the clock starts; a footer can be asked for along with its data.
ROUND_TRIPS = 3
_REQUESTS = 32


class _Recorder(MemoryTransport):
    """Files in memory, and a note of each range that is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[str, int, int]] = []
        self._noting = Lock()

    def get_range(self, uri: str, start: int, length: int) -> memoryview:
        """Bytes `[start, start + length)`."""
        with self._noting:
            self.ranges.append((uri, start, length))
        return super().get_range(uri, start, length)


def measure(task: Task) -> dict[str, float]:
    """CPU seconds of decoding alone and of fetching alone, the bytes fetched, and how fast they came."""
    scan = lf.connect(**task.properties).table(task.table).scan(columns=task.columns, where=task.condition)
    spec, pieces = scan._spec, scan.pieces  # noqa: SLF001  (the reader's own entry takes them)
    network, memory = open_transport(spec.store), _Recorder()
    with ThreadPoolExecutor(_REQUESTS) as pool:
        list(pool.map(lambda path: memory.put(path, network.get(path)), {piece.path for piece in pieces}))
    before = time.process_time()
    _decode(spec, pieces, memory, stream=task.stream)
    decode_cpu = time.process_time() - before
    memory.objects.clear()
    before, started = time.process_time(), time.perf_counter()
    fetched = asyncio.run(_fetch(network, memory.ranges))
    return {
        "decode_cpu_s": decode_cpu,
        "network_cpu_s": time.process_time() - before,
        "bytes": fetched,
        "measured_link_bytes_s": fetched / (time.perf_counter() - started),
    }


async def _fetch(network: Transport, ranges: list[tuple[str, int, int]]) -> int:
    """Get ranges as the reader does, and drop them; returns how many bytes they were."""
    turn = asyncio.Semaphore(_REQUESTS)

    async def get(asked: tuple[str, int, int]) -> int:
        async with turn:
            return len(await network.get_range_async(*asked))

    return sum(await asyncio.gather(*map(get, ranges)))


def _decode(spec: ReadSpec, pieces: list[Piece], memory: MemoryTransport, *, stream: bool) -> None:
    budget = parse_bytes(STREAM_MEMORY) if stream else None
    batches = read_batches(spec, pieces, memory=budget, transport=memory)
    if stream:
        for _ in batches:
            pass
    else:
        pa.Table.from_batches(batches, output_schema(spec))


def limit_seconds(parts: dict[str, float], latency_s: float, link_bytes_s: int | None) -> dict[str, Any]:
    """The limit, with what it is made of.

    Args:
        parts: From `measure`.
        latency_s: Median to the first byte.
        link_bytes_s: What the network gives; None for what was measured.
    """
    link = link_bytes_s or parts["measured_link_bytes_s"]
    cores = available_cpus()
    network = parts["bytes"] / link
    processor = (parts["decode_cpu_s"] + parts["network_cpu_s"]) / cores
    return {
        "seconds": round(ROUND_TRIPS * latency_s + max(network, processor), 4),
        "round_trips": ROUND_TRIPS,
        "latency_s": latency_s,
        "network_s": round(network, 4),
        "processor_s": round(processor, 4),
        "cores": cores,
        "link_bytes_s": round(link),
        "bytes": round(parts["bytes"]),
        "decode_cpu_s": round(parts["decode_cpu_s"], 4),
        "network_cpu_s": round(parts["network_cpu_s"], 4),
    }


def main() -> None:
    """Measure once, after a read of one row as contenders have it; print the parts as JSON."""
    task = Task(**json.load(sys.stdin))
    measure(warm_up(task))
    print(json.dumps(measure(task)))


if __name__ == "__main__":
    main()
