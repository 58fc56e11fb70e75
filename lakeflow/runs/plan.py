"""What a run is going to do, written down before it begins, so that a second driver can tell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cloudpickle

from lakeflow_io.errors import CorruptFileError, FunctionError, InputError, PlanChangedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lakeflow_io.iceberg.shards import Shard

__all__ = ["RunPlan", "check_same", "pickle_function", "shards_digest"]

_FORMAT = 1
_SHOWN = 200  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything that decides what a run writes; equal plans write equal rows."""

    run_id: str
    source: str | None
    """`table@snapshot`."""
    shards: int
    shards_digest: str
    """Over every shard's files and offsets, in order."""
    function: str
    """`module:qualified name`."""
    code: str
    """`fingerprint` of the function."""
    params: dict[str, Any]
    shared: dict[str, str]
    """Digest of each shared table's bytes, by name."""
    output: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 over all of it but the run id, as canonical JSON."""
        facts = asdict(self)
        del facts["run_id"]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> bytes:
        """For `plan.json`."""
        return json.dumps({"format": _FORMAT, "digest": self.digest, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes | memoryview, uri: str) -> RunPlan:
        """From `plan.json`.

        Raises:
            CorruptFileError: it isn't one, or is of a later format.
        """
        try:
            facts = json.loads(bytes(data))
            if facts.pop("format") != _FORMAT:
                raise ValueError("its format is not 1")  # noqa: TRY301
            del facts["digest"]
            return cls(**facts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(
                f"{uri} is no plan of a run: {error}.", "use another run id, or the lakeflow version that wrote it."
            ) from error


def check_same(old: RunPlan, new: RunPlan) -> None:
    """Refuse to go on with a run whose plan has changed.

    Raises:
        PlanChangedError: says what changed, from what to what.
    """
    if old.digest == new.digest:
        return
    before, after = asdict(old), asdict(new)
    changes = [f"{key}: {_short(before[key])} -> {_short(after[key])}" for key in before if before[key] != after[key]]
    raise PlanChangedError(
        f"Run {new.run_id!r} was planned otherwise before: " + "; ".join(changes) + ".",
        "use another run id, or undo the change to resume.",
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def shards_digest(shards: Sequence[Shard]) -> str:
    """A digest of what the shards read: snapshot, filter, columns, files and offsets."""
    digest = hashlib.sha256()
    described: dict[int, str] = {}
    for shard in shards:
        spec = shard.spec
        if id(spec) not in described:  # shards of one scan share it; describing it costs more than the rest
            described[id(spec)] = f"{spec.source} {spec.filter} {spec.columns.schema_id} {spec.columns}"
        digest.update(f"{shard.index} {described[id(spec)]}\n".encode())
        for piece in shard.pieces:
            digest.update(f"{piece.path} {piece.start} {piece.end}\n".encode())
    return digest.hexdigest()


def pickle_function(function: Callable[..., Any]) -> bytes:
    """The function as workers get it: by value where they can't import it.

    Raises:
        FunctionError: it holds what can't be pickled, such as an open connection.
    """
    try:
        return cloudpickle.dumps(function)
    except Exception as error:
        raise FunctionError(
            f"{_name(function)} can't be sent to workers: {error}",
            "open connections and files inside the function, not around it.",
        ) from error


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def function_name(function: Callable[..., Any]) -> str:
    """`module:qualified name`."""
    return f"{getattr(function, '__module__', '?')}:{_name(function)}"


def check_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parameters as the plan can hold them.

    Raises:
        InputError: one isn't JSON.
    """
    hint = "pass numbers, text, lists and dicts with text as keys; tables go into shared=."
    try:
        given = dict(params or {})
        checked: dict[str, Any] = json.loads(json.dumps(given, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"The run's params are not JSON: {error}.", hint) from error
    if not _same(checked, given):
        raise InputError(f"The run's params change when they become JSON: {given} -> {checked}.", hint)
    return checked


def _same(left: Any, right: Any) -> bool:
    """Equal with equal types all through."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
