"""What was given to `foreach` -> its works, and from names alone the same works in another process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, overload

from lakeflow.cut import CutShards
from lakeflow.runs.plan import same_json
from lakeflow.runs.work import Item
from lakeflow.scan import Scan
from lakeflow.table import Table
from lakeflow_io.errors import InputError
from lakeflow_io.iceberg.shards import Shard

if TYPE_CHECKING:
    from lakeflow.lake import Lake
    from lakeflow.runs.work import Work

__all__ = ["connected", "recipe_of", "works_again", "works_of"]

# Of items, as JSON: a plan is read whole by everyone who lists runs.
_MOST_ITEM_BYTES = 64 * 1024


def works_of(given: Any) -> tuple[Sequence[Work], dict[str, Any] | None]:
    """The works of a run, numbered as they come: shards of several scans may be run together.

    Args:
        given: Shards; a scan or a table, which stands for its default shards; or items of any kind.

    Returns:
        The works, and their recipe: None where names aren't enough to make them again.

    Raises:
        InputError: it is none of these, mixes shards and other items, or has a shard twice.
    """
    if isinstance(given, Table):
        given = given.scan()
    if isinstance(given, Scan):
        given = given.shards()
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise InputError(
            f"foreach was given a {type(given).__name__}.", "pass scan.shards(...), a scan, a table or a list of items."
        )
    items: Sequence[Any] = given if isinstance(given, Sequence) else list(given)
    shards = sum(isinstance(item, Shard) for item in items)
    if not shards:
        return [Item(index, item) for index, item in enumerate(items)], _items_recipe(items)
    if shards < len(items):
        raise InputError("foreach was given shards and other items at once.", "run them one after the other.")
    read = {(id(shard.spec), *((each.path, each.start, each.end) for each in shard.pieces)) for shard in items}
    if len(read) < len(items):
        raise InputError("foreach was given a shard twice.", "each shard is run once.")
    return _Numbered(items), recipe_of(items)


class _Numbered(Sequence["Work"]):
    """Shards with their places as numbers, made when they are asked for."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards

    def __len__(self) -> int:
        return len(self._shards)

    @overload
    def __getitem__(self, index: int) -> Work: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Work]: ...
    def __getitem__(self, index: int | slice) -> Work | Sequence[Work]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        shard = self._shards[index]
        return cast("Work", shard if shard.index == index else replace(shard, index=index))


def recipe_of(shards: Sequence[Any]) -> dict[str, Any] | None:
    """The recipe of shards that are all of one scan, as they were cut."""
    whole = isinstance(shards, CutShards) and all(shard.index == index for index, shard in enumerate(shards))
    return shards.recipe if whole and isinstance(shards, CutShards) else None


def _items_recipe(items: Sequence[Any]) -> dict[str, Any] | None:
    try:
        text = json.dumps(list(items), allow_nan=False)
    except (TypeError, ValueError):
        return None
    if len(text) > _MOST_ITEM_BYTES or not same_json(json.loads(text), list(items)):
        return None
    return {"items": list(items)}


def connected(lake: Lake | None) -> Lake:
    """A lake, or the default one: what reads no table makes none."""
    if lake is not None:
        return lake
    from lakeflow.lake import connect

    return connect()


def works_again(lake: Lake | None, recipe: dict[str, Any] | None, run_id: str) -> Sequence[Work]:
    """The works of a run, from its plan.

    Args:
        lake: Where its tables are; default `connect()`.
        recipe: The plan's.
        run_id: For messages.

    Raises:
        InputError: the plan has no recipe.
        NotFoundError: a table or a snapshot is gone.
    """
    if recipe is None:
        raise InputError(
            f"The shards of run {run_id!r} can't be made again from its plan alone.",
            "call foreach as before, with the same run id.",
        )
    if "items" in recipe:
        return works_of(recipe["items"])[0]
    table = connected(lake).table(recipe["table"])
    current = table.snapshot
    same = current is not None and current.id == recipe["snapshot_id"]
    # By its id, a state is read with the schema that it had; what is current with the table's.
    scan = table.scan(recipe["columns"], snapshot=None if same else recipe["snapshot_id"])
    for text in recipe["where"]:
        scan = scan.where(text)
    return works_of(scan.shards(**{name: recipe[name] for name in ("n", "target_size", "by") if name in recipe}))[0]
