"""Shards: how even they are on files of very different sizes, and what a hundred thousand of them take.

    python -m benchmarks shards [--files 100000] [--json OUT]

Nothing is read but manifests: of the tables that `plan` has, whose files aren't there. Seconds are of CPU: one
thread does nearly all of it.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
import time
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.plan_tables import TABLE, catalog_properties, plan_table
from benchmarks.report import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeflow_io.iceberg.plan import Piece
    from lakeflow_io.iceberg.shards import Shard

__all__ = ["least_possible", "row_group_sizes", "run_shards", "zipf_files"]

MB = 1_000_000
# Zipf's exponent and the bytes of a row group: 1 TB in 2,000 files.
_CASES = ((0.6, 128 * MB), (1.0, 32 * MB), (1.0, 128 * MB), (1.4, 128 * MB))
_FILES, _TOTAL = 2000, 1_000_000 * MB
# Numbers of shards: first, last and step.
_RANGES = ((2, 9, 1), (10, 99, 1), (100, 1000, 9))
_SPLIT = 16  # row groups of each file, where files are split
_DELETES = 100


def run_shards(*, files: Sequence[int] = (100_000,), most: int = 1000, out: str | None = None) -> dict[str, Any]:
    """Measure.

    Args:
        files: Of the tables of which as many shards are made.
        most: Shards at most where their balance is measured: from 2 on each number, from 100 on every ninth.
        out: A file for the figures, as JSON.

    Returns:
        What the JSON has: `balance` by case and range of n, `many` by number and kind of shards.
    """
    result: dict[str, Any] = {"machine": machine(), "balance": {}, "many": {}}
    print(f"{'max / mean, the worst in':40}" + "".join(f"{f'n {a}-{b}':>14}" for a, b, _ in _RANGES if a <= most))
    for exponent, row_group in _CASES:
        name = f"Zipf {exponent}, row groups of {row_group // MB} MB"
        found = result["balance"][name] = _balance(zipf_files(exponent, row_group), most)
        for head, fact in ((name, "max_to_mean"), ("  over the least possible", "to_least")):
            print(f"  {head:38}" + "".join(f"{each[fact]:>14.3f}" for each in found.values()), flush=True)
    heads = ("shards", "plan s", "cut s", "pickle s", "MB", "B a shard", "back s", "B alone")
    print(f"\n{'':28}" + "".join(f"{head:>11}" for head in heads))
    for count in files:
        for name, figures in _many(count).items():
            result["many"][f"{count} {name}"] = figures
            _print(name, figures)
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def zipf_files(exponent: float, row_group: int, files: int = _FILES, total: int = _TOTAL) -> list[Piece]:
    """Files whose sizes follow Zipf's law, in an order that says nothing of them.

    Args:
        exponent: The largest is `k ** exponent` times the size of the k-th.
        row_group: Bytes of a row group, give or take a fifth.
        files: How many.
        total: Bytes of all.
    """
    from lakeflow_io.iceberg.plan import Piece

    luck = random.Random(7)  # noqa: S311  (sizes, not secrets)
    weights = [rank**-exponent for rank in range(1, files + 1)]
    sizes = [max(1000, int(total * weight / sum(weights))) for weight in weights]
    luck.shuffle(sizes)
    made = []
    for number, size in enumerate(sizes):
        splits = [4]
        while (next_split := splits[-1] + int(row_group * luck.uniform(0.8, 1.2))) < size:
            splits.append(next_split)
        made.append(Piece(f"s3://bucket/t/{number:05d}.parquet", size, 0, size, size // 100, "", "", tuple(splits)))
    return made


def row_group_sizes(pieces: Sequence[Piece]) -> list[int]:
    """Bytes of all row groups, the largest first."""
    return sorted((b - a for each in pieces for a, b in pairwise([0, *each.splits[1:], each.end])), reverse=True)


def least_possible(sizes: Sequence[int], n: int) -> float:
    """What the heaviest of `n` shards weighs at least, whoever cuts them: bytes.

    The mean; the heaviest row group; and of the `k * n + 1` heaviest ones, of which `k + 1` meet in one
    shard, the lightest `k + 1`.

    Args:
        sizes: Of row groups, the largest first.
        n: Shards, no more than there are row groups.
    """
    upto = list(accumulate(sizes, initial=0))
    met = (upto[k * n + 1] - upto[k * n - k] for k in range(1, (len(sizes) - 1) // n + 1))
    return max(upto[-1] / n, sizes[0], *met)


def _balance(pieces: Sequence[Piece], most: int) -> dict[str, dict[str, float]]:
    from lakeflow_io.iceberg.shards import balance

    spec: Any = None  # balancing never looks at it
    sizes = row_group_sizes(pieces)
    found = {}
    for first, last, step in _RANGES:
        if first > most:
            break
        worst: dict[str, float] = {"max_to_mean": 0.0, "at_n": 0, "to_least": 0.0, "pieces": 0}
        for n in range(first, min(last, most) + 1, step):
            shards = balance(spec, pieces, n)
            heaviest = max(shard.bytes for shard in shards)
            if heaviest * n / sum(sizes) > worst["max_to_mean"]:
                worst |= {"max_to_mean": heaviest * n / sum(sizes), "at_n": n}
                worst["pieces"] = sum(len(shard.pieces) for shard in shards)
            worst["to_least"] = max(worst["to_least"], heaviest / least_possible(sizes, n))
        found[f"{first}-{min(last, most)}"] = worst
    return found


def _many(count: int) -> dict[str, dict[str, Any]]:
    """As many shards, of whole files, of files with deletes, and of parts of files."""
    import lakeflow as lf
    from lakeflow_io.iceberg.deletes.file import DeleteFile
    from lakeflow_io.iceberg.shards import balance

    table = lf.connect(**catalog_properties(plan_table(count))).table(TABLE)
    scan, began = table.scan(), time.process_time()
    planned = len(scan.pieces)
    plan_cpu_s = time.process_time() - began
    assert planned == count  # noqa: S101  (it is the benchmark's own table)
    began = time.process_time()
    whole = scan.shards(n=count)
    made = {"of whole files": _figures(whole, plan_cpu_s, time.process_time() - began)}
    spec = whole[0].spec
    deletes = tuple(DeleteFile("equality", f"s3://bucket/t/delete-{i}.parquet", 9999, i) for i in range(_DELETES))
    pieces = [replace(piece, deletes=deletes) for piece in scan.pieces]
    began = time.process_time()
    made[f"with {_DELETES} delete files"] = _figures(balance(spec, pieces, count), None, time.process_time() - began)
    split = [_in_row_groups(piece) for piece in scan.pieces[: -(-count // _SPLIT)]]
    began = time.process_time()
    made[f"of {_SPLIT}ths of files"] = _figures(balance(spec, split, count), None, time.process_time() - began)
    return made


def _in_row_groups(piece: Piece) -> Piece:
    splits = tuple(4 + piece.file_size * part // _SPLIT for part in range(_SPLIT))
    return replace(piece, splits=splits, chunks=())


def _figures(shards: list[Shard], plan_cpu_s: float | None, cut_cpu_s: float) -> dict[str, Any]:
    began = time.process_time()
    data = pickle.dumps(shards, protocol=5)
    pickled = time.process_time()
    back = pickle.loads(data)  # noqa: S301  (our own)
    ended = time.process_time()
    alone = pickle.dumps(shards[len(shards) // 2], protocol=5)
    assert pickle.loads(alone).pieces == shards[len(shards) // 2].pieces  # noqa: S101, S301  (whole by itself)
    return {
        "shards": len(back),
        "plan_cpu_s": plan_cpu_s,
        "cut_cpu_s": cut_cpu_s,
        "pickle_cpu_s": pickled - began,
        "bytes": len(data),
        "unpickle_cpu_s": ended - pickled,
        "alone_bytes": len(alone),
    }


def _print(name: str, row: dict[str, Any]) -> None:
    plan = "" if row["plan_cpu_s"] is None else f"{row['plan_cpu_s']:.2f}"
    each = row["bytes"] / row["shards"]
    print(
        f"  {name:26}{row['shards']:>11,}{plan:>11}{row['cut_cpu_s']:>11.2f}{row['pickle_cpu_s']:>11.2f}"
        f"{row['bytes'] / MB:>11.1f}{each:>11.0f}{row['unpickle_cpu_s']:>11.2f}{row['alone_bytes']:>11,}"
    )
    sys.stdout.flush()
