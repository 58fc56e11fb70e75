"""`lakeflow tables`, `describe`, `head`: what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import json_option, open_lake
from lakeflow.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from lakeflow.table import Table

__all__ = ["describe_command", "head_command", "tables_command"]


@click.command("tables")
@click.argument("namespace", required=False)
@json_option
@click.pass_context
def tables_command(context: click.Context, namespace: str | None, *, as_json: bool) -> None:
    """List tables, with their rows and files."""
    lake = open_lake(context)
    found = [_facts(lake.table(name)) for name in lake.tables(namespace)]
    if as_json:
        print_json(found)
        return
    columns = ["table", "rows", "files", "bytes", "snapshots", "partition_by"]
    print_rows(
        columns,
        [
            [fact[column] if column != "partition_by" else ", ".join(fact[column]) for column in columns]
            for fact in found
        ],
    )
    if not found:
        click.echo("No tables yet. `lakeflow demo` makes some.", err=True)


@click.command("describe")
@click.argument("table")
@json_option
@click.pass_context
def describe_command(context: click.Context, table: str, *, as_json: bool) -> None:
    """Show a table's columns, layout and snapshots."""
    opened = open_lake(context).table(table)
    facts = _facts(opened)
    columns = [{"name": field.name, "type": str(field.type), "required": not field.nullable} for field in opened.schema]
    snapshots = [
        {
            "id": snapshot.id,
            "committed": snapshot.committed.isoformat(timespec="seconds"),
            "operation": snapshot.operation,
            "added_rows": int(snapshot.summary.get("added-records", 0)),
            "run_id": snapshot.summary.get("lakeflow.run-id"),
        }
        for snapshot in opened.snapshots()
    ]
    if as_json:
        print_json({**facts, "columns": columns, "snapshots": snapshots})
        return
    for name, value in facts.items():
        click.echo(f"{name:14}{', '.join(value) if isinstance(value, list) else value}")
    for rows in (columns, snapshots):
        if rows:
            click.echo()
            print_rows(list(rows[0]), [list(row.values()) for row in rows])


@click.command("head")
@click.argument("table")
@click.option("-n", "rows", default=10, show_default=True, type=click.IntRange(min=0), help="Rows at most.")
@json_option
@click.pass_context
def head_command(context: click.Context, table: str, rows: int, *, as_json: bool) -> None:
    """Show some rows of a table."""
    frame = open_lake(context).table(table).head(rows)
    found = frame.to_pylist()
    if as_json:
        for row in found:
            print_json(row)
        return
    print_rows(frame.schema.names, [list(row.values()) for row in found])


def _facts(table: Table) -> dict[str, Any]:
    snapshot = table.snapshot
    summary = snapshot.summary if snapshot else {}
    return {
        "table": table.name,
        "rows": int(summary.get("total-records", 0)),
        "files": int(summary.get("total-data-files", 0)),
        "bytes": int(summary.get("total-files-size", 0)),
        "snapshots": len(table.snapshots()),
        "snapshot_id": snapshot.id if snapshot else None,
        "partition_by": table.partition_by,
        "sort_by": table.sort_by,
        "location": table.location,
    }
