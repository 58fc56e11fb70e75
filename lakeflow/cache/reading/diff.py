"""Which keys came, went or changed between two versions: a merge of both by key hash, a block at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeflow.cache.building.merged import Merged
from lakeflow.cache.files.ranges import Sorted, ranges
from lakeflow.cache.files.shard import find_rows
from lakeflow_io.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from lakeflow.cache.keys.column import KeyColumn
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["CHANGE", "diff"]

CHANGE = "_change_type"
"""The column that says what became of a key; Iceberg's changelog views call it so."""

_BLOCK_ROWS = 65_536
_BLOCK_BYTES = 32 << 20  # of both versions; what is taken from them comes on top


def diff(old: OpenVersion, new: OpenVersion) -> pa.RecordBatchReader:
    """Compare two versions; see `Cache.diff`."""
    if (old.key.names, old.key.type) != (new.key.names, new.key.type):
        was, now = (f"{each.key.name} ({each.key.type})" for each in (old, new))
        message = f"Versions {old.id} and {new.id} have other keys: {was} and {now}."
        raise SchemaError(message, "compare versions with the same key columns.")
    schema = pa.schema([*new.key.fields, pa.field(CHANGE, pa.string(), nullable=False)])
    return pa.RecordBatchReader.from_batches(schema, _blocks(old, new, schema))


def _blocks(old: OpenVersion, new: OpenVersion, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    olds, news = _own(old, new), _own(new, old)
    for least, end in ranges([*olds, *news], _BLOCK_ROWS, _BLOCK_BYTES):
        before = Merged(olds, old.schema).within(least, end)
        after = Merged(news, new.schema).within(least, end)
        keys, kinds = _changes(new.key, before, after)
        if len(kinds):
            yield pa.RecordBatch.from_arrays([*new.key.columns(keys).values(), kinds], schema=schema)


def _own(version: OpenVersion, other: OpenVersion) -> list[Sorted]:
    """Return the shards that the other version doesn't share: a shard is known by its writer, bucket and first hash."""
    shared = {(facts.owner, facts.bucket, facts.first_hash) for facts in other.manifest.shards}
    facts = version.manifest.shards
    own = [number for number, each in enumerate(facts) if (each.owner, each.bucket, each.first_hash) not in shared]
    return [version.shards[number].whole() for number in own]


def _changes(key: KeyColumn, before: Sorted, after: Sorted) -> tuple[pa.Array, pa.Array]:
    """Return the keys that differ and how: added ones, removed ones, changed ones."""
    old_keys, new_keys = key.keys_of(before.rows), key.keys_of(after.rows)
    places = find_rows(new_keys, after.hashes, old_keys, before.hashes)
    stayed = np.flatnonzero(places >= 0)
    came = np.ones(len(new_keys), dtype=np.bool_)
    came[places[stayed]] = False
    differs = _rows_differ(before.rows.take(pa.array(stayed)), after.rows.take(pa.array(places[stayed])), key.names)
    found = {
        "added": new_keys.take(pa.array(np.flatnonzero(came))),
        "removed": old_keys.take(pa.array(np.flatnonzero(places < 0))),
        "changed": new_keys.take(pa.array(places[stayed[differs]])),
    }
    kinds = np.repeat(list(found), [len(keys) for keys in found.values()])
    return pa.concat_arrays(list(found.values())), pa.array(kinds, pa.string())


def _rows_differ(before: pa.RecordBatch, after: pa.RecordBatch, keys: Sequence[str]) -> NDArray[np.bool_]:
    """Compare rows pair by pair; where columns came, went or have other types, every pair differs."""
    was, now = ({field.name: field.type for field in rows.schema} for rows in (before, after))
    if was != now:
        return np.ones(before.num_rows, dtype=np.bool_)
    differs = np.zeros(before.num_rows, dtype=np.bool_)
    for name in was:
        if name not in keys:
            differs |= _differ(before.column(name), after.column(name))
    return differs


def _differ(before: pa.Array, after: pa.Array) -> NDArray[np.bool_]:
    """Compare values pair by pair: a null is like a null, and a NaN like a NaN."""
    if before.equals(after):
        return np.zeros(len(before), dtype=np.bool_)
    try:
        equal = pc.call_function("equal", [before, after]).fill_null(False)  # noqa: FBT003  (a value, no switch)
    except pa.ArrowNotImplementedError:
        return _nested_differ(before, after)
    nan_too = pc.NullOptions(nan_is_null=True)
    missing = [pc.call_function("is_null", [each], nan_too).to_numpy(zero_copy_only=False) for each in (before, after)]
    really = [pc.call_function("is_null", [each]).to_numpy(zero_copy_only=False) for each in (before, after)]
    alike: NDArray[np.bool_] = missing[0] & missing[1] & (really[0] == really[1])
    return ~(equal.to_numpy(zero_copy_only=False) | alike)


def _nested_differ(before: pa.Array, after: pa.Array) -> NDArray[np.bool_]:
    """Compare values that Arrow compares only whole arrays of: by halves, until all are alike or one is left."""
    if before.equals(after):
        return np.zeros(len(before), dtype=np.bool_)
    if len(before) == 1:
        return np.array([not _same_text(before, after)])
    half = len(before) // 2
    return np.concatenate([_nested_differ(before[:half], after[:half]), _nested_differ(before[half:], after[half:])])


def _same_text(before: pa.Array, after: pa.Array) -> bool:
    """Compare by the text of the values, in which a NaN equals itself."""
    try:
        return repr(before.to_pylist()) == repr(after.to_pylist())
    except (ValueError, OverflowError):  # a value without a Python form; Arrow says that they aren't equal
        return False
