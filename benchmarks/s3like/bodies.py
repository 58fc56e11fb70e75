"""Bodies of uploads: sized, chunked, and in AWS's own chunks within either."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.s3like.wire import Connection, Request

__all__ = ["body"]


def body(connection: Connection, request: Request) -> Iterator[bytes]:
    """The bytes that a request carries, without framing, signatures and trailers."""
    headers = request.headers
    if headers.get("expect", "").lower() == "100-continue":
        connection.go_on()
    if "chunked" in headers.get("transfer-encoding", ""):
        outer = _Frames(_endless(connection))
        pieces = outer.data()
    else:
        outer = None
        pieces = _sized(connection, int(headers.get("content-length", 0)))
    if "aws-chunked" in headers.get("content-encoding", "") or headers.get("x-amz-content-sha256", "").startswith(
        "STREAMING-"
    ):
        yield from _Frames(pieces).data()
        for _ in pieces:
            pass  # what follows the trailers
    else:
        yield from pieces
    if outer:
        connection.unread(bytes(outer.held))


def _sized(connection: Connection, left: int) -> Iterator[bytes]:
    while left:
        piece = connection.receive(left)
        left -= len(piece)
        yield piece


def _endless(connection: Connection) -> Iterator[bytes]:
    while True:
        yield connection.receive()


class _Frames:
    """Takes `SIZE[;extensions]CRLF data CRLF ... 0CRLF trailers CRLF` apart; HTTP and AWS share that form."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.held = bytearray()

    def data(self) -> Iterator[bytes]:
        """What the frames carry."""
        while size := int(self._line().partition(b";")[0], 16):
            while size:
                if not self.held:
                    self._more()
                piece = bytes(self.held[:size])
                del self.held[:size]
                size -= len(piece)
                yield piece
            self._line()
        while self._line():
            pass  # trailers: checksums, which are not verified

    def _line(self) -> bytes:
        while (end := self.held.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self.held[:end])
        del self.held[: end + 2]
        return line

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise ConnectionResetError("a chunked body ends within a frame")
        self.held += piece
