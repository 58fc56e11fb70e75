"""`lakeflow cache diff`: a line for each key that differs between two versions, as they are found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from lakeflow.cli.options import json_option, named_cache
from lakeflow.cli.output import print_json
from lakeflow.jsonable import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from lakeflow.cache.keys.column import Key, KeyColumn

__all__ = ["diff_command"]

_KINDS = ("added", "removed", "changed")


@click.command("diff")
@click.argument("name")
@click.argument("old")
@click.argument("new", required=False)
@click.option("--count", is_flag=True, help="Print only how many there are.")
@json_option
@click.pass_context
def diff_command(context: click.Context, name: str, old: str, new: str | None, *, count: bool, as_json: bool) -> None:
    """Show which keys of the cache NAME differ between the versions OLD and NEW, by default the current one.

    Each is a line: added, removed or changed, a tab, and the key as `cache get` takes it; one with control characters,
    or that begins with a quote, is as in JSON. With --json each is an object. They come in no particular order, and
    how many there were is said on standard error at the end.
    """
    from lakeflow.cache.keys.column import key_of
    from lakeflow.cache.reading.diff import CHANGE

    cache = named_cache(context, name)
    new = cache.version.id if new is None else new
    changes, counts = cache.diff(old, new), Counter[str]()
    names = [field for field in changes.schema.names if field != CHANGE]
    key = key_of(changes.schema, names[0] if len(names) == 1 else tuple(names))
    for batch in changes:
        counts.update({each["values"]: each["counts"] for each in batch[CHANGE].value_counts().to_pylist()})
        if not count:
            click.echo("\n".join(_lines(batch, key, as_json=as_json)))
    if count and as_json:
        print_json({"old": old, "new": new, **{kind: counts[kind] for kind in _KINDS}})
    elif not as_json:
        told = ", ".join(f"{counts[kind]:,} {kind}" for kind in _KINDS)
        click.echo(f"{name}: {told} from {old} to {new}.", err=not count)


def _lines(batch: pa.RecordBatch, key: KeyColumn, *, as_json: bool) -> Iterable[str]:
    if as_json:
        return map(to_json, batch.to_pylist())
    *_, kinds = batch.columns
    return map("\t".join, zip(kinds.to_pylist(), map(_shown, key.values(key.keys_of(batch))), strict=True))


def _shown(key: Key) -> str:
    """Return a key as one line without tabs."""
    if isinstance(key, int):
        return str(key)
    text: Any = key
    if isinstance(key, bytes):
        text = key.decode(errors="surrogateescape")  # as the shell gives binary keys; not printable where it is no text
    plain = isinstance(text, str) and text.isprintable() and not text.startswith('"')
    return text if plain else to_json(list(key) if isinstance(key, tuple) else key)
