"""`lakeflow tables`, `describe`, `head`: what is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import json_option, named_table, open_lake, snapshot_name
from lakeflow.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from lakeflow.description import Description
    from lakeflow.table import Table

__all__ = ["describe_command", "head_command", "tables_command"]


@click.command("tables")
@click.argument("namespace", required=False)
@json_option
@click.pass_context
def tables_command(context: click.Context, namespace: str | None, *, as_json: bool) -> None:
    """List tables, with their rows and files.

    Rows of a table with row-level deletes are "at most": `lakeflow scan TABLE` counts them.
    """
    lake = open_lake(context)
    found = [lake.table(name).describe() for name in lake.tables(namespace)]
    if as_json:
        print_json([asdict(each) for each in found])
        return
    print_rows(
        ["table", "rows", "files", "bytes", "snapshots", "partition_by"],
        [
            [each.table, _rows(each), each.files, each.bytes, each.snapshots, ", ".join(each.partition_by)]
            for each in found
        ],
    )
    if not found:
        click.echo("No tables yet. `lakeflow demo` makes some.", err=True)


def _rows(table: Description) -> int | str:
    """`at most 1000`: row-level deletes count once they are applied."""
    return table.rows if table.rows_are == "exact" else f"{table.rows_are} {table.rows}"


@click.command("describe")
@click.argument("table", metavar="TABLE|PATH")
@click.option("--files", "part", flag_value="files", help="Its data and delete files instead.")
@click.option("--manifests", "part", flag_value="manifests", help="Its manifests.")
@click.option("--partitions", "part", flag_value="partitions", help="Its partitions.")
@click.option("--snapshots", "part", flag_value="snapshots", help="Its snapshots, with what they added and removed.")
@click.option("--history", "part", flag_value="history", help="Which snapshot became the current one when.")
@click.option("--refs", "part", flag_value="refs", help="Its branches and tags.")
@click.option("--snapshot", metavar="SNAPSHOT", help="With --files, --manifests, --partitions: of which snapshot.")
@json_option
@click.pass_context
def describe_command(
    context: click.Context, table: str, part: str | None, snapshot: str | None, *, as_json: bool
) -> None:
    """Show a table's columns, layout and snapshots.

    Rows are "at most" where there are row-level deletes, and "about" in a folder of Parquet files: `lakeflow scan`
    counts them. With --json, --files and its like print a line for each row.
    """
    opened = named_table(context, table)
    if part is None and snapshot is not None:
        raise click.UsageError("--snapshot goes with --files, --manifests or --partitions.")
    if part is not None:
        _show(opened, part, snapshot, as_json=as_json)
        return
    facts = opened.describe()
    columns = [{"name": field.name, "type": str(field.type), "required": not field.nullable} for field in opened.schema]
    snapshots = [] if facts.snapshots is None else _snapshots(opened)
    if as_json:
        print_json({**asdict(facts), "columns": columns, "snapshots": snapshots})
        return
    for name, value in (asdict(facts) | {"rows": _rows(facts)}).items():
        if name != "rows_are" and value is not None:
            click.echo(f"{name:14}{', '.join(value) if isinstance(value, list) else value}")
    for rows in (columns, snapshots):
        if rows:
            click.echo()
            print_rows(list(rows[0]), [list(row.values()) for row in rows])


# What people want to see first; --json has all of it.
_SHOWN = {
    "files": ["content", "partition", "rows", "bytes", "snapshot_id", "path"],
    "manifests": ["content", "spec_id", "added_files", "existing_files", "deleted_files", "bytes", "path"],
    "partitions": ["partition", "spec_id", "rows", "files", "bytes", "last_changed"],
    "history": ["made_current", "snapshot_id", "parent_id", "is_current_ancestor"],
    "refs": ["name", "type", "snapshot_id"],
}


def _show(table: Table, part: str, snapshot: str | None, *, as_json: bool) -> None:
    """Print one of a table's metadata tables."""
    of_snapshot = part in ("files", "manifests", "partitions")
    if snapshot is not None and not of_snapshot:
        raise click.UsageError(f"--snapshot does not go with --{part}.")
    if part == "snapshots":
        rows = [
            {**row, **each.summary} if as_json else row
            for row, each in zip(_snapshots(table), table.snapshots(), strict=True)
        ]
        names = list(rows[0]) if rows else []
    else:
        read = getattr(table, part)
        rows = (read(snapshot_name(snapshot)) if of_snapshot else read()).to_pylist()
        names = _SHOWN[part]
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_rows(names, [[row[name] for name in names] for row in rows])


def _snapshots(table: Table) -> list[dict[str, Any]]:
    return [
        {
            "id": snapshot.id,
            "committed": snapshot.committed.isoformat(timespec="seconds"),
            "operation": snapshot.operation,
            "added_rows": int(snapshot.summary.get("added-records", 0)),
            "run_id": snapshot.summary.get("lakeflow.run-id"),
        }
        for snapshot in table.snapshots()
    ]


@click.command("head")
@click.argument("table", metavar="TABLE|PATH")
@click.option("-n", "rows", default=10, show_default=True, type=click.IntRange(min=0), help="Rows at most.")
@json_option
@click.pass_context
def head_command(context: click.Context, table: str, rows: int, *, as_json: bool) -> None:
    """Show some rows of a table."""
    frame = named_table(context, table).head(rows)
    found = frame.to_pylist()
    if as_json:
        for row in found:
            print_json(row)
        return
    print_rows(frame.schema.names, [list(row.values()) for row in found])
