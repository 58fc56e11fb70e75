"""What a run is going to do, written down before it begins, so that a second driver can tell."""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

import cloudpickle

from lakeflow.runs.attempts.fingerprint import fingerprint
from lakeflow.runs.work import Item
from lakeflow_io.errors import CorruptFileError, FunctionError, InputError, PlanChangedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lakeflow.runs.work import Work

__all__ = [
    "RunPlan",
    "check_same",
    "check_same_outputs",
    "described_works",
    "owner",
    "pickle_function",
    "shell_options",
]

_FORMAT = 2
_SHOWN = 200  # characters of a value in a message
# What decides the rows of a run; the rest says where it comes from.
_DECIDES = ("function", "code", "params", "shared", "inputs", "kind", "shards", "shards_digest", "outputs")


Data = bytes  # which a plan has, too


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def owner() -> dict[str, str]:
    """Who runs this process: `user` and `host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = ""
    return {"user": user, "host": platform.node()}


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run does; plans of equal digest write equal rows."""

    run_id: str
    inputs: list[str]
    """`table@snapshot` of each scan, in the order in which they come first; none for items."""
    kind: Literal["shard", "item"]
    shards: int
    """Works."""
    shards_digest: str
    """Over every shard's files and offsets, or every item, in order."""
    bytes: int
    """Of all shards, in the store."""
    rows: int
    """Of all shards, before filtering."""
    function: str
    """`module:qualified name`."""
    code: str
    """`fingerprint` of the function."""
    params: dict[str, Any]
    shared: dict[str, str]
    """Digest of each shared table's bytes, by name."""
    outputs: list[dict[str, Any]]
    """What each sink says of itself, and its `name`, in the order in which they are published."""
    planned_on: dict[str, int | None] = field(default_factory=dict)
    """The snapshot that each output had: what it replaces is checked against that."""
    settings: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    """How outputs publish, as it was when the run began."""
    named: bool = False
    """Whether the function returns its rows by the outputs' names."""
    recipe: dict[str, Any] | None = None
    """How the works are made again from names alone."""
    created: str = field(default_factory=_now)
    """RFC 3339, UTC."""
    owner: dict[str, str] = field(default_factory=owner)
    """`user` and `host`."""

    @property
    def digest(self) -> str:
        """SHA-256 over what decides the rows, as canonical JSON."""
        facts = asdict(self)
        decides = {name: facts[name] for name in _DECIDES}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    @property
    def work_ids(self) -> Iterator[str]:
        """Of all works, in order."""
        return (f"{self.kind}-{index:05d}" for index in range(self.shards))

    @property
    def output_names(self) -> list[str]:
        """In the order in which they are published."""
        return [output["name"] for output in self.outputs]

    def to_json(self) -> Data:
        """For `plan.json`."""
        return json.dumps({"format": _FORMAT, "digest": self.digest, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, data: Data | memoryview, uri: str) -> RunPlan:
        """From `plan.json`.

        Raises:
            CorruptFileError: it isn't one, or is of another format.
        """
        try:
            facts = json.loads(Data(data))
            found = facts.pop("format")
            if found != _FORMAT:
                raise ValueError(f"its format is {found!r}, not {_FORMAT}")  # noqa: TRY301
            del facts["digest"]
            return cls(**facts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(
                f"{uri} is no plan of a run: {error}.", "use another run id, or the lakeflow version that wrote it."
            ) from error


def shell_options(described: Sequence[dict[str, Any]]) -> str:
    """What a shell needs beside a run's id to find the run: nothing where a table is its first output.

    Args:
        described: What the plan says of its outputs.
    """
    first = described[0] if described else {}
    return f" --cache {quote(first['cache'])} --root {quote(first['root'])}" if "cache" in first else ""


def check_same(old: RunPlan, new: RunPlan, *, allow_code_change: bool = False) -> None:
    """Refuse to go on with a run whose plan has changed.

    Args:
        old: The run's.
        new: What is planned now.
        allow_code_change: Whether the function may be another one.

    Raises:
        PlanChangedError: says what changed, from what to what.
    """
    allowed = ("function", "code") if allow_code_change else ()
    before, after = asdict(old), asdict(new)
    _refuse_changes(old.run_id, before, after, [name for name in _DECIDES if name not in allowed])


def check_same_outputs(old: RunPlan, outputs: list[dict[str, Any]]) -> None:
    """The same for what is written into alone.

    Raises:
        PlanChangedError: says what changed.
    """
    _refuse_changes(old.run_id, {"outputs": old.outputs}, {"outputs": outputs}, ["outputs"])


def _refuse_changes(run_id: str, before: dict[str, Any], after: dict[str, Any], names: Sequence[str]) -> None:
    changed = [name for name in names if before[name] != after[name]]
    if not changed:
        return
    changes = [f"{name}: {_short(before[name])} -> {_short(after[name])}" for name in changed]
    hint = "use another run id, or undo the change to resume."
    if set(changed) <= {"function", "code"}:
        hint += " To go on with the new code: resume(run_id, function, allow_code_change=True)."
    raise PlanChangedError(f"Run {run_id!r} was planned otherwise before: " + "; ".join(changes) + ".", hint)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def described_works(works: Iterable[Work]) -> dict[str, Any]:
    """What a plan says of the works, found in one pass: `inputs`, `shards_digest`, `bytes` and `rows`."""
    digest, size, rows = hashlib.sha256(), 0, 0
    described: dict[int, str] = {}
    inputs: dict[str, None] = {}
    for work in works:
        size, rows = size + work.bytes, rows + work.rows
        if isinstance(work, Item):
            digest.update(f"{work.index} {fingerprint(work.value)}\n".encode())
            continue
        spec: Any = work.spec  # type: ignore[attr-defined]
        if id(spec) not in described:  # shards of one scan share it; describing it costs more than the rest
            described[id(spec)] = f"{spec.source} {spec.filter} {spec.columns.schema_id} {spec.columns}"
            inputs[spec.source] = None
        digest.update(f"{work.index} {described[id(spec)]}\n".encode())
        for piece in work.pieces:  # type: ignore[attr-defined]
            digest.update(f"{piece.path} {piece.start} {piece.end}\n".encode())
    return {"inputs": list(inputs), "shards_digest": digest.hexdigest(), "bytes": size, "rows": rows}


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
    if not same_json(checked, given):
        raise InputError(f"The run's params change when they become JSON: {given} -> {checked}.", hint)
    return checked


def same_json(left: Any, right: Any) -> bool:
    """Equal with equal types all through."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_json(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)
