"""Copies the current version of a cache into a table: rows first, then one pointer, then the clearing.

Readers go on with the version before until the pointer is set. A push that dies leaves an upload that nothing points
to: the next push of the same version goes on with it, any other removes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow.cache.dynamodb.address import Address
from lakeflow.cache.dynamodb.clear import clear
from lakeflow.cache.dynamodb.create import create_in
from lakeflow.cache.dynamodb.lease import RENEW_SECONDS, Lease, leased
from lakeflow.cache.dynamodb.limits import refuse_what_does_not_fit
from lakeflow.cache.dynamodb.names import Names, UploadId
from lakeflow.cache.dynamodb.send import BATCH_BYTES, BATCH_ITEMS, Batch, send
from lakeflow.cache.dynamodb.table import Table, put
from lakeflow.cache.dynamodb.uploads import held, started, uploads
from lakeflow.cache.pushed.chunks import chunks
from lakeflow.cache.pushed.codec import RowCodec, key_bytes
from lakeflow.cache.pushed.report import PushReport
from lakeflow.cache.pushed.version import FORMAT, PushedVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.cache.cache import Cache
    from lakeflow.cache.dynamodb.uploads import Upload
    from lakeflow.cache.reading.version import OpenVersion

__all__ = ["push"]

_CHUNK_ROWS = 1_000
_CHUNK_BYTES = 1 << 20  # of Arrow; Python's objects and the JSON are several times that


def push(cache: Cache, url: str, *, create: bool = False) -> PushReport:
    """Make the version that `cache` reads the current one in a table.

    The table keeps the version before it too. A push that was killed goes on where it was, give or take the rows of
    some seconds, when the same version is pushed again.

    Args:
        cache: In a folder or on an object store; a view that `Cache.at` made pushes its version.
        url: `dynamodb://TABLE[?region=..&endpoint=..]`. Credentials are boto3's: its environment variables, files
            and roles.
        create: Make the table where it isn't there, as `create_table` does.

    Raises:
        NotFoundError: nothing was published, or there is no such table.
        ConfigError: the URL can't be used, boto3 isn't installed, no region is named, or the table's key is another.
        UnsupportedError: a column has no exact form there, a row is longer than 400 KB, or a key than 1,023 bytes;
            it names them. Nothing was written.
        CommitConflictError: another push of the cache is under way, or took over.
        AccessDeniedError: the credentials are missing, wrong, or lack a right.
        ThrottledError: the table has too little capacity; the old version stays current.
        StoreError: it can't be reached, or refuses; the old version stays current, unless the error says otherwise,
            or the answers were lost to the request that makes the new one current.
    """
    opened = cache._version()  # noqa: SLF001  (mapped: a publish meanwhile doesn't take it away)
    names, address = Names(cache.name), Address.parse(url)
    described = PushedVersion.of(opened.manifest)
    example = UploadId.new(opened.id, opened.rows)
    refuse_what_does_not_fit(opened, described, names.partitions(example)[-1])
    table = Table(address)
    if create:
        create_in(table)
    with leased(table, names) as lease:
        pointed = lease.pointed()
        known = {upload.id: upload for upload in uploads(table, names)}
        current = pointed[0] if pointed and pointed[0] in known else None
        if current is not None and current.version == opened.id:
            return PushReport(opened.id, rows=0, removed=clear(lease, pointed), written=False)
        upload = _usable(lease, list(known.values()), opened.id) or started(lease, described)
        rows = opened.rows - upload.rows_done
        if upload.phase == "writing":
            _write(lease, upload, opened)
        lease.point(upload.id, current)
        removed = clear(lease, [upload.id] if current is None else [upload.id, current])
        return PushReport(opened.id, rows, removed, written=True)


def _usable(lease: Lease, known: list[Upload], version: str) -> Upload | None:
    """Return a copy of the version that is whole, or one that can be gone on with, as this push's own."""
    lease.renew()  # nobody has had the lease since the uploads were read: none is taken from a push that lives
    for phase in ("complete", "writing"):
        for seen in known:
            usable = seen.id.version == version and seen.phase == phase and seen.row_format == FORMAT
            if usable and (upload := held(lease, seen)):
                return upload
    return None


def _write(lease: Lease, upload: Upload, opened: OpenVersion) -> None:
    """Write the rows that an upload lacks, and say that it is complete.

    Raises:
        CommitConflictError: another push has taken over.
        StoreError: as `Table` says.
    """
    before = upload.rows_done

    def on_the_way(done: int) -> None:
        if lease.due:
            lease.renew()
            _record(lease, upload, rows_done=before + done)

    send(lease.table, _puts(lease.names, upload, opened), RENEW_SECONDS, on_the_way)
    _record(lease, upload, rows_done=opened.rows, phase="complete")


def _record(lease: Lease, upload: Upload, **changes: Any) -> None:
    if held(lease, upload, **changes) is None:
        raise lease.lost()


def _puts(names: Names, upload: Upload, opened: OpenVersion) -> Iterator[Batch]:
    """Yield the rows that an upload lacks, in batches."""
    codec = RowCodec(opened.manifest.schema, opened.manifest.key)
    requests: list[dict[str, Any]] = []
    size = count = 0
    for chunk in chunks(opened, upload.rows_done, _CHUNK_ROWS, _CHUNK_BYTES):
        keys = map(key_bytes, opened.key.values(opened.key.keys_of(chunk)))
        for key, value in zip(keys, codec.encode(chunk), strict=True):
            longer = size + len(value)
            if requests and (len(requests) == BATCH_ITEMS or longer > BATCH_BYTES):
                yield Batch(requests, count)
                requests, longer = [], len(value)
            partition, sort = names.row(upload.id, key)
            requests.append(put({"pk": partition, "sk": sort, "v": value}))
            size, count = longer, count + 1
    if requests:
        yield Batch(requests, count)
