"""A multipart upload over a boto3 client."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from lakeflow_io.errors import LakeflowError
from lakeflow_io.storage.upload import IN_FLIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MultipartSender"]


class MultipartSender:
    """Sends the bytes of one object.

    Args:
        ask: Makes a request about the object: the operation's name and its arguments.
    """

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def whole(self, data: bytearray) -> None:
        """All at once."""
        self._ask("PutObject", Body=data)

    def parts(self, parts: Iterator[bytearray]) -> None:
        """At most four at once; whatever goes wrong, the upload is aborted."""
        upload = self._ask("CreateMultipartUpload")["UploadId"]
        try:
            done = self._send(upload, parts)
            self._ask("CompleteMultipartUpload", UploadId=upload, MultipartUpload={"Parts": done})
        except BaseException as error:
            try:
                self._ask("AbortMultipartUpload", UploadId=upload)
            except LakeflowError:
                error.add_note(f"The parts of upload {upload} are still there.")
            raise

    def _send(self, upload: str, parts: Iterator[bytearray]) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        pending: set[Future[dict[str, Any]]] = set()
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="lakeflow-upload-part") as pool:
            for number, part in enumerate(parts, start=1):
                pending.add(pool.submit(self._part, upload, number, part))
                if len(pending) == IN_FLIGHT:
                    finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                    done += [each.result() for each in finished]
            done += [each.result() for each in pending]
        return sorted(done, key=lambda each: each["PartNumber"])

    def _part(self, upload: str, number: int, part: bytearray) -> dict[str, Any]:
        answer = self._ask("UploadPart", UploadId=upload, PartNumber=number, Body=part)
        return {"PartNumber": number, "ETag": answer["ETag"]}
