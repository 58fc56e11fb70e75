"""`lakeflow shards`: into what a table would be cut for tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import json_option, named_table, snapshot_name
from lakeflow.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from lakeflow_io.iceberg.shards import Shard

__all__ = ["shards_command"]

_MB = 1_000_000
# Of a piece, what tells it and what applies to it; the rest is for readers.
_SHOWN = ("path", "start", "end", "rows", "first_row", "partition")


@click.command("shards")
@click.argument("table", metavar="TABLE|PATH")
@click.option("-n", "n", type=click.IntRange(min=1), metavar="N", help="So many at most.")
@click.option("--target-size", metavar="SIZE", help='Or of this size; default "256 MiB".')
@click.option(
    "--by",
    type=click.Choice(["bytes", "rows", "partition"]),
    default="bytes",
    show_default=True,
    help="What is about equal; or one for each partition.",
)
@click.option("--where", metavar="FILTER", help='Rows to read, such as "year >= 2000".')
@click.option("--snapshot", metavar="SNAPSHOT", help="An id, a branch, a tag or a moment; default what is current.")
@json_option
@click.pass_context
def shards_command(
    context: click.Context,
    table: str,
    n: int | None,
    target_size: str | None,
    by: Any,
    where: str | None,
    snapshot: str | None,
    *,
    as_json: bool,
) -> None:
    """Show the shards that a table is read in by tasks; nothing is read but metadata.

    With --json a line for each, with its pieces of files.
    """
    scan = named_table(context, table).scan(where=where, snapshot=snapshot_name(snapshot))
    shards = scan.shards(n, target_size=target_size, by=by)
    if as_json:
        for shard in shards:
            print_json(_facts(shard))
        return
    columns = ["shard", "bytes", "rows", "files", "partition"]
    print_rows(columns, [[each.id, each.bytes, each.rows, len(each.pieces), each.partition or ""] for each in shards])
    total = sum(shard.bytes for shard in shards)
    largest = max((shard.bytes for shard in shards), default=0)
    told = f"; the largest is {largest * len(shards) / total:.2f} times the mean" if total else ""
    click.echo(f"{len(shards):,} shards, {total / _MB:,.1f} MB{told}", err=True)


def _facts(shard: Shard) -> dict[str, Any]:
    pieces = [
        {name: getattr(piece, name) for name in _SHOWN} | {"deletes": [each.path for each in piece.deletes]}
        for piece in shard.pieces
    ]
    return {"shard": shard.id, "bytes": shard.bytes, "rows": shard.rows, "pieces": pieces}
