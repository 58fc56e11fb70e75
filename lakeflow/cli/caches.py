"""`lakeflow cache ls | versions | get | stats | verify | repair | rollback | pin | unpin | diff | gc | push`."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.cache_diff import diff_command
from lakeflow.cli.options import json_option, named_cache, older_than_option, root_option
from lakeflow.cli.output import print_json, print_rows
from lakeflow.quantities import number_of
from lakeflow_io.errors import DataError, InputError, NotFoundError, ObjectNotFoundError

if TYPE_CHECKING:
    from datetime import timedelta

    from lakeflow.cache.keys.column import KeyColumn
    from lakeflow.cache.reading.version import CacheVersion
    from lakeflow_io.errors import LakeflowError

__all__ = ["cache_group"]


@click.group("cache")
@root_option
@click.pass_context
def cache_group(context: click.Context, root: str | None) -> None:
    """Look keys up; list, compare and keep versions; roll back."""
    context.obj = {"root": root, "storage": context.obj["properties"]}


cache_group.add_command(diff_command)


@cache_group.command("ls")
@json_option
@click.pass_context
def ls_command(context: click.Context, *, as_json: bool) -> None:
    """List the caches that have a version; the first one that is damaged is told at the end."""
    from lakeflow.cache.cache import Cache
    from lakeflow.cache.shelves import absolute_root, shelves

    rows: list[dict[str, Any]] = []
    damaged: list[LakeflowError] = []
    for shelf in shelves(context.obj["root"], context.obj["storage"]):
        try:
            if shelf.read_pointer() is None:
                continue
            version = Cache(shelf.name, shelf.root, storage=shelf.storage).version
        except (DataError, ObjectNotFoundError) as error:  # others can be listed all the same
            damaged.append(error)
            continue
        rows.append(
            {
                "cache": shelf.name,
                "rows": version.rows,
                "bytes": version.bytes,
                "version": version.id,
                "created": str(version.created),
                "source": version.source,
            }
        )
    if rows or not damaged:
        _print_table(rows, as_json=as_json, empty=f"No caches in {absolute_root(context.obj['root'])}.")
    if damaged:
        raise damaged[0]


@cache_group.command("get")
@click.argument("name")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--columns", metavar="A,B", help="Columns to show, in this order; default all.")
@json_option
@click.pass_context
def get_command(
    context: click.Context, name: str, keys: tuple[str, ...], columns: str | None, *, as_json: bool
) -> None:
    """Show the row of each KEY in the cache NAME; where several columns are the key, a KEY is a list in JSON."""
    from lakeflow.cache.keys.column import key_of
    from lakeflow.cache.opening import open_cache

    cache = open_cache(name, context.obj["root"], storage=context.obj["storage"])
    column = key_of(cache.schema, cache.key)
    picked = [each.strip() for each in columns.split(",")] if columns else None
    rows = [(key, cache.get(_as_key(name, column, key), columns=picked)) for key in keys]
    for _, row in rows:
        if row is not None and as_json:
            print_json(row)
        elif row is not None:
            width = max(map(len, row)) + 2
            click.echo("\n".join(f"{column:{width}}{value}" for column, value in row.items()))
    missing = [key for key, row in rows if row is None]
    if missing:
        raise NotFoundError(
            f"No row with key {', '.join(map(repr, missing))} in cache {name!r} (version {cache.version.id}).",
            "keys are exact: case and accents count.",
        )


@cache_group.command("versions")
@click.argument("name")
@json_option
@click.pass_context
def versions_command(context: click.Context, name: str, *, as_json: bool) -> None:
    """List the versions of the cache NAME, oldest first."""
    versions = named_cache(context, name).versions()
    rows = [
        {
            "version": version.id,
            "current": version.current,
            "pinned": version.pinned,
            "rows": version.rows,
            "bytes": version.bytes,
            "reused_bytes": version.reused_bytes,
            "created": str(version.created),
            "source": version.source,
            "run_id": version.run_id,
        }
        for version in versions
    ]
    _print_table(rows, as_json=as_json, empty=f"Cache {name!r} has no versions.")


@cache_group.command("stats")
@click.argument("name")
@json_option
@click.pass_context
def stats_command(context: click.Context, name: str, *, as_json: bool) -> None:
    """Show how large the cache NAME is, and where its current version came from."""
    stats = named_cache(context, name).stats()
    version = stats.version
    facts = {
        "cache": name,
        "version": version.id,
        "created": str(version.created),
        "source": version.source,
        "run_id": version.run_id,
        "layout": stats.layout,
        "key": stats.key,
        "columns": stats.columns,
        "rows": version.rows,
        "bytes": version.bytes,
        "shards": stats.shards,
        "versions": stats.versions,
        "disk_bytes": stats.disk_bytes,
    }
    if as_json:
        print_json(facts)
    else:
        click.echo("\n".join(f"{fact:12}{'' if value is None else value}" for fact, value in facts.items()))


@cache_group.command("rollback")
@click.argument("name")
@click.argument("version", required=False)
@json_option
@click.pass_context
def rollback_command(context: click.Context, name: str, version: str | None, *, as_json: bool) -> None:
    """Make an earlier VERSION current again; default the one before the current one."""
    current = named_cache(context, name).rollback(version)
    _print_version(name, current, f"{name}: {current.id} is current, {current.rows:,} rows.", as_json=as_json)


@cache_group.command("pin")
@click.argument("name")
@click.argument("version", required=False)
@json_option
@click.pass_context
def pin_command(context: click.Context, name: str, version: str | None, *, as_json: bool) -> None:
    """Keep a VERSION, whatever is published, until it is unpinned; default the current one."""
    pinned = named_cache(context, name).pin(version)
    _print_version(name, pinned, f"{name}: {pinned.id} stays until it is unpinned.", as_json=as_json)


@cache_group.command("unpin")
@click.argument("name")
@click.argument("version", required=False)
@json_option
@click.pass_context
def unpin_command(context: click.Context, name: str, version: str | None, *, as_json: bool) -> None:
    """Let a VERSION go when it is old enough, at a publish or by gc; default the current one."""
    unpinned = named_cache(context, name).unpin(version)
    _print_version(name, unpinned, f"{name}: {unpinned.id} isn't pinned.", as_json=as_json)


def _print_version(name: str, version: CacheVersion, text: str, *, as_json: bool) -> None:
    if as_json:
        facts = {"version": version.id, "rows": version.rows, "current": version.current, "pinned": version.pinned}
        print_json({"cache": name, **facts})
    else:
        click.echo(text)


@cache_group.command("verify")
@click.argument("name")
@json_option
@click.pass_context
def verify_command(context: click.Context, name: str, *, as_json: bool) -> None:
    """Read every file of the current version and compare checksums."""
    current = named_cache(context, name).verify()
    _print_version(name, current, f"{name}: {current.id} is whole, {current.rows:,} rows.", as_json=as_json)


@cache_group.command("repair")
@click.argument("name")
@json_option
@click.pass_context
def repair_command(context: click.Context, name: str, *, as_json: bool) -> None:
    """Compute indexes and rows files of the current version again that are damaged or gone."""
    repaired = named_cache(context, name).repair()
    if as_json:
        print_json({"cache": name, "repaired": repaired})
    else:
        click.echo("\n".join([*repaired, f"{number_of(len(repaired), 'file')} repaired."]))


@cache_group.command("gc")
@click.argument("name")
@click.option("--keep", type=int, help="Remove versions, too, but the newest N, the current one and pinned ones.")
@click.option(
    "--grace", type=float, help="Seconds that a version stays after it was current; default 0, on a store 3600."
)
@older_than_option
@json_option
@click.pass_context
def gc_command(
    context: click.Context, name: str, keep: int | None, grace: float | None, older_than: timedelta, *, as_json: bool
) -> None:
    """Remove what builds and runs of the cache NAME left that died; with --keep also old versions.

    A run that is given up can't publish any more.
    """
    from lakeflow.cache.publishing.retention import Retention, collect
    from lakeflow.cache.shelves import shelf_at

    shelf = shelf_at(context.obj["root"], name, context.obj["storage"])
    retention = None if keep is None else Retention(keep, shelf.grace if grace is None else grace)
    collected = collect(shelf, retention, older_than)
    if as_json:
        print_json({"removed": collected.versions, "given_up": collected.given_up, "bytes": collected.bytes})
        return
    for run_id in collected.given_up:
        click.echo(f"{run_id}: given up")
    click.echo("\n".join([*collected.versions, f"{len(collected.versions)} removed, {collected.bytes:,} bytes."]))


@cache_group.command("push")
@click.argument("name")
@click.argument("url", metavar="valkey://HOST:PORT[/DB] | dynamodb://TABLE")
@click.option("--create", is_flag=True, help="Make the DynamoDB table, billed by request, where it isn't there.")
@click.pass_context
def push_command(context: click.Context, name: str, url: str, *, create: bool) -> None:
    """Copy the current version of the cache NAME into a Valkey or Redis server, or into a DynamoDB table."""
    from lakeflow.cache import dynamodb, valkey

    cache = named_cache(context, name)
    if url.startswith("dynamodb:"):
        report = dynamodb.push(cache, url, create=create)
    elif create:
        raise InputError("--create makes a DynamoDB table, and this is another URL.", "leave it out.")
    else:
        report = valkey.push(cache, url)
    if report.written:
        click.echo(
            f"{name}: {report.version} is current there, {report.rows:,} rows written; "
            f"{report.removed:,} old ones removed."
        )
    else:
        click.echo(f"{name}: {report.version} was current there already.")


def _print_table(rows: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_rows(list(rows[0]), [list(row.values()) for row in rows])
    else:
        click.echo(empty, err=True)


def _composite(column: KeyColumn, parts: Any) -> Any:
    """Take values as JSON has them: bytes in base64."""
    binary = [str(field.type) in ("binary", "large_binary") for field in column.fields]
    if not isinstance(parts, list) or len(parts) != len(binary):
        return parts
    return [
        base64.b64decode(part, validate=True) if is_bytes and isinstance(part, str) else part
        for part, is_bytes in zip(parts, binary, strict=True)
    ]


def _as_key(name: str, column: KeyColumn, text: str) -> Any:
    if column.python is int:
        try:
            return int(text)
        except ValueError:
            raise InputError(f"Cache {name!r} has integer keys, and {text!r} is none.", "give a number.") from None
    if column.python is tuple:
        try:
            return _composite(column, json.loads(text))
        except ValueError:
            message = f"Cache {name!r} has keys of {column.name}, and {text!r} is no list in JSON."
            raise InputError(message, """give one as '["u1", 7]'.""") from None
    return text if column.python is str else os.fsencode(text)
