"""`lakeflow scan`: read a table or a folder of Parquet files, and say what reading took."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import json_option, named_table, snapshot_name
from lakeflow.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from lakeflow.scan import Scan
    from lakeflow_io.reader import ScanReport

__all__ = ["scan_command"]

_MB = 1_000_000
_NOT_COMPILED = "the compiled decoder is missing; install a C compiler, then lakeflow again"


@click.command("scan")
@click.argument("source", metavar="TABLE|PATH")
@click.option("--columns", metavar="A,B", help="Columns to read; default all.")
@click.option("--where", metavar="FILTER", help='Rows to read, such as "year >= 2000".')
@click.option(
    "--snapshot",
    metavar="SNAPSHOT",
    help="An id, a branch, a tag, or a moment such as 2026-01-31T12:00Z; default what is current.",
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Read N rows at most, and show them.")
@click.option("--memory", metavar="SIZE", help='Bytes in flight, such as "512 MiB".')
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write the rows to a Parquet file.")
@click.option("--report", "with_report", is_flag=True, help="Say what was asked of the store and what it took.")
@json_option
@click.pass_context
def scan_command(
    context: click.Context,
    source: str,
    columns: str | None,
    where: str | None,
    snapshot: str | None,
    limit: int | None,
    memory: str | None,
    output: str | None,
    *,
    with_report: bool,
    as_json: bool,
) -> None:
    """Read a table, by its name or from the folder where it or its Parquet files lie, from end to end.

    Without --limit and --output rows are read and counted, not shown.
    """
    wanted = [name.strip() for name in columns.split(",")] if columns else None
    scan = named_table(context, source).scan(wanted, where, snapshot_name(snapshot))
    if limit is not None:
        scan = scan.limit(limit)
    shown: list[dict[str, Any]] | None = [] if limit is not None and not output else None
    rows, size = _written(scan, memory, output) if output else _consumed(scan, memory, shown)
    report = scan.report()
    if as_json:
        found: dict[str, Any] = {"rows": rows, "arrow_bytes": size, "seconds": round(report.seconds, 4)}
        found |= {"shown": shown} if shown is not None else {}
        print_json(found | ({"report": {**asdict(report), "verdict": report.verdict}} if with_report else {}))
        return
    if shown is not None:
        print_rows(scan.schema.names, [list(row.values()) for row in shown])
    click.echo(f"{rows:,} rows, {size / _MB:,.1f} MB in Arrow, {report.seconds:.2f} s", err=shown is not None)
    if with_report:
        click.echo(describe(report), err=shown is not None)


def _consumed(scan: Scan, memory: str | None, shown: list[dict[str, Any]] | None) -> tuple[int, int]:
    """Read all batches, collecting the rows in `shown`; rows and bytes."""
    rows = size = 0
    for batch in scan.batches(memory=memory):
        rows += batch.num_rows
        size += batch.nbytes
        if shown is not None:
            shown += batch.to_pylist()
    return rows, size


def _written(scan: Scan, memory: str | None, output: str) -> tuple[int, int]:
    """Write a draft beside the file and rename it at the end: a scan that fails leaves what was there."""
    import pyarrow.parquet as pq

    target = Path(output).resolve()  # what a link points at is replaced, not the link
    if target.exists() and not target.is_file():
        raise click.UsageError(f"--output {output}: this is no regular file. Without --output rows are only counted.")
    if not target.parent.is_dir():
        raise click.UsageError(f"--output {output}: there is no folder {target.parent}. Make it, or name another.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    rows = size = 0
    try:
        with pq.ParquetWriter(draft, scan.schema, compression="zstd") as writer:
            for batch in scan.batches(memory=memory):
                rows += batch.num_rows
                size += batch.nbytes
                writer.write_batch(batch)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return rows, size


def describe(report: ScanReport) -> str:
    """A report as lines for people."""
    left_out = report.row_groups_pruned + report.row_groups_skipped
    rate = report.bytes_fetched / _MB / report.seconds if report.seconds else 0.0
    deletes = (
        f"deletes      {report.deletes_applied:,} rows left out by {report.delete_files:,} delete files; "
        f"{report.dangling_deletes:,} deletes name no data file"
    )
    return "\n".join(
        (
            (
                f"files        {report.files:,} opened ({report.footers_known:,} with a footer that was known), "
                f"{report.row_groups:,} row groups, {left_out:,} left out "
                f"({report.row_groups_pruned:,} by statistics, {report.row_groups_skipped:,} by the filter's columns)"
            ),
            *([deletes] if report.delete_files else []),
            (
                f"requests     {report.requests:,} ({report.retries:,} retried, {report.throttled:,} throttled, "
                f"{report.hedges:,} hedged), {report.concurrency} at a time at most"
            ),
            (
                f"bytes        {report.bytes_wanted / _MB:,.1f} MB wanted, "
                f"{report.bytes_fetched / _MB:,.1f} MB fetched, {rate:,.0f} MB/s"
            ),
            f"first byte   {report.first_byte_p50 * 1000:.0f} ms median, {report.first_byte_p99 * 1000:.0f} ms p99",
            (
                f"waited       {report.network_wait:.2f} s for the network, {report.cpu_wait:.2f} s for decoding, "
                f"{report.consumer:.2f} s for the consumer: bound by {report.verdict}"
            ),
            f"decoding     {report.decode_cpu:.2f} CPU s{'' if report.compiled else ', by pyarrow: ' + _NOT_COMPILED}",
            f"memory       {report.peak_bytes / _MB:,.0f} MB at most of {report.budget_bytes / _MB:,.0f} MB",
        )
    )
