"""The records of uploads: which copies of versions are in a table, whole or not, and who works on them.

Why uploads and not versions: DynamoDB has no transaction over a batch of writes and the lease, so a pusher that
stood still, and whose lease has passed on, may send its last writes and removals at any later time. They do no harm,
because every copy of a version has items of its own, and because whoever goes on with a copy, points to it or removes
it first makes itself the copy's holder, by a change that is refused once the copy has another. So nobody removes
rows that somebody else has decided to use, and a copy that is being removed is never used again.

    writing ──> complete ──> removing ──> gone
       └──────> abandoned ───────┘

An upload that was never completed is `abandoned` for one push longer, after its rows were removed: its writer may
have sent rows that came late. The next push looks once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from lakeflow.cache.dynamodb.names import UPLOAD, UploadId
from lakeflow.cache.pushed.version import FORMAT, PushedVersion
from lakeflow_io.errors import CorruptFileError

if TYPE_CHECKING:
    from lakeflow.cache.dynamodb.lease import Lease
    from lakeflow.cache.dynamodb.names import Names
    from lakeflow.cache.dynamodb.table import Item, Table

__all__ = ["Phase", "Upload", "describe", "held", "started", "uploads"]

Phase: TypeAlias = Literal["writing", "complete", "abandoned", "removing"]


@dataclass(frozen=True, slots=True)
class Upload:
    """What a record says."""

    id: UploadId
    phase: Phase
    holder: str
    """The token of the push that decides about it."""
    rows_done: int
    """So many of the version's first rows are in the table."""
    row_format: int
    """How they are written: as `FORMAT` of `pushed.version` says, where they can be gone on with."""


def uploads(table: Table, names: Names) -> list[Upload]:
    """List the uploads of a cache.

    Raises:
        CorruptFileError: a record isn't one.
        StoreError: as `Table` says.
    """
    pages = table.query(names.cache, UPLOAD, "sk, phase, holder, rows_done, row_format")
    return [_upload(item, table, names) for page in pages for item in page]


def started(lease: Lease, version: PushedVersion) -> Upload:
    """Record a new upload, before its first row is written.

    Raises:
        StoreError: as `Table` says.
    """
    upload = Upload(UploadId.new(version.summary.id, version.summary.rows), "writing", lease.token, 0, FORMAT)
    changes = {"facts": version.to_json(), **_attributes(upload)}
    given = {"token": lease.token}
    lease.table.update(lease.names.upload(upload.id), changes, "attribute_not_exists(pk) OR holder = :token", given)
    return upload


def held(lease: Lease, seen: Upload, phase: Phase | None = None, rows_done: int | None = None) -> Upload | None:
    """Become an upload's holder, or stay it, and say how far it is.

    Args:
        lease: Of the push that becomes the holder.
        seen: The upload as it was read.
        phase: Its phase from now on; None: as it was.
        rows_done: So many rows are in the table now; None: as many as were.

    Returns:
        The upload as it is now; None where it has another holder than was seen, so another push decides.

    Raises:
        StoreError: as `Table` says.
    """
    now = replace(
        seen,
        holder=lease.token,
        phase=seen.phase if phase is None else phase,
        rows_done=seen.rows_done if rows_done is None else rows_done,
    )
    unchanged = "holder = :seen OR holder = :token"
    given = {"seen": seen.holder, "token": lease.token}
    return now if lease.table.update(lease.names.upload(seen.id), _attributes(now), unchanged, given) else None


def describe(table: Table, names: Names, upload: UploadId) -> PushedVersion | None:
    """Return the version that an upload is a copy of; None where it has been removed.

    Raises:
        CorruptFileError: the record isn't one.
        UnsupportedError: another version of lakeflow wrote it.
        StoreError: as `Table` says.
    """
    item = table.get(names.upload(upload))
    if item is None:
        return None
    where = f"The record of {upload} in {table.shown}"
    return PushedVersion.parse(str(item.get("facts", "")).encode(), where)


def _attributes(upload: Upload) -> dict[str, str | int]:
    names = ("phase", "holder", "rows_done", "row_format")
    return {name: getattr(upload, name) for name in names}


def _upload(item: Item, table: Table, names: Names) -> Upload:
    try:
        name = cast("bytes", item["sk"])[len(UPLOAD) :].decode()
        phase = cast("Phase", item["phase"])
        numbers = int(item["rows_done"]), int(item["row_format"])
        return Upload(UploadId.parse(name, table.shown), phase, str(item["holder"]), *numbers)
    except (KeyError, ValueError) as error:
        message = f"A record of cache {names.cache!r} in {table.shown} can't be decoded: {error!r}"
        raise CorruptFileError(message, f"delete it: pk = {names.cache!r}, sk = {item.get('sk')!r}.") from error
