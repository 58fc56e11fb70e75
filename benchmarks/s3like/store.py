"""Objects in memory, by bucket and key, and uploads underway."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import md5
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING

from benchmarks.s3like.answers import S3Error
from benchmarks.s3like.blob import Blob

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Store", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """One object."""

    blob: Blob
    etag: str
    """With its quotes."""
    modified: float
    """Seconds since 1970."""

    @property
    def headers(self) -> dict[str, str]:
        """That describe it."""
        return {
            "ETag": self.etag,
            "Last-Modified": formatdate(self.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }


class Store:
    """What all threads share. A reader that holds a `Stored` keeps its bytes, whatever happens here."""

    def __init__(self, buckets: Iterable[str]) -> None:
        self._lock = RLock()
        self._buckets: dict[str, dict[str, Stored]] = {name: {} for name in buckets}
        self._sorted: dict[str, list[str]] = {}
        self._uploads: dict[str, tuple[str, str, dict[int, Blob]]] = {}
        self._numbers = count(1)

    @property
    def buckets(self) -> list[str]:
        """Their names."""
        return sorted(self._buckets)

    def make_bucket(self, name: str) -> None:
        """Add an empty bucket."""
        with self._lock:
            if name in self._buckets:
                raise S3Error("BucketAlreadyOwnedByYou", name)
            self._buckets[name] = {}

    def bucket(self, name: str) -> dict[str, Stored]:
        """A bucket's objects by key; NoSuchBucket."""
        try:
            return self._buckets[name]
        except KeyError:
            raise S3Error("NoSuchBucket", name) from None

    def keys(self, bucket: str) -> list[str]:
        """All keys, sorted as S3 lists them: by their UTF-8 bytes."""
        with self._lock:
            if bucket not in self._sorted:
                self._sorted[bucket] = sorted(self.bucket(bucket), key=str.encode)
            return self._sorted[bucket]

    def get(self, bucket: str, key: str) -> Stored:
        """One object; NoSuchKey."""
        try:
            return self.bucket(bucket)[key]
        except KeyError:
            raise S3Error("NoSuchKey", key) from None

    def put(
        self, bucket: str, key: str, blob: Blob, *, etag: str = "", if_absent: bool = False, if_match: str = ""
    ) -> Stored:
        """Write one object, on S3's conditions; PreconditionFailed."""
        stored = Stored(blob, etag or f'"{blob.digest.hex()}"', time.time())
        with self._lock:
            objects = self.bucket(bucket)
            there = objects.get(key)
            if (if_absent and there) or (if_match and (there is None or there.etag != if_match)):
                raise S3Error("PreconditionFailed", key)
            objects[key] = stored
            if there is None:
                self._sorted.pop(bucket, None)
        return stored

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object that may be there."""
        with self._lock:
            if self.bucket(bucket).pop(key, None):
                self._sorted.pop(bucket, None)

    def load(self, bucket: str, folder: Path, prefix: str = "") -> int:
        """Put each file under `folder`, by `prefix` and its path within; returns how many."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in files:
            self.put(bucket, prefix + path.relative_to(folder).as_posix(), Blob.of_file(path))
        return len(files)

    def start_upload(self, bucket: str, key: str) -> str:
        """Begin a multipart upload; returns its id."""
        self.bucket(bucket)
        with self._lock:
            name = f"upload-{next(self._numbers)}"
            self._uploads[name] = (bucket, key, {})
        return name

    def put_part(self, upload: str, number: int, blob: Blob) -> str:
        """Add a part; returns its ETag."""
        with self._lock:
            self._parts(upload)[2][number] = blob
        return f'"{blob.digest.hex()}"'

    def finish_upload(self, upload: str, numbers: list[int], *, if_absent: bool = False) -> Stored:
        """Make an object of an upload's parts."""
        bucket, key, parts = self._parts(upload)
        if not numbers or numbers != sorted(set(numbers)) or not set(numbers) <= set(parts):
            raise S3Error("InvalidPart", key)
        chosen = [parts[number] for number in numbers]
        digest = md5(b"".join(part.digest for part in chosen), usedforsecurity=False).hexdigest()
        whole = Blob.collect(piece for part in chosen for piece in part.pieces())
        stored = self.put(bucket, key, whole, etag=f'"{digest}-{len(chosen)}"', if_absent=if_absent)
        self.drop_upload(upload)
        return stored

    def drop_upload(self, upload: str) -> None:
        """Forget an upload and its parts."""
        with self._lock:
            self._parts(upload)
            del self._uploads[upload]

    def _parts(self, upload: str) -> tuple[str, str, dict[int, Blob]]:
        try:
            return self._uploads[upload]
        except KeyError:
            raise S3Error("NoSuchUpload", upload) from None
