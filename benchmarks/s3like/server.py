"""The server: a thread for each connection, which waits in the kernel nearly always."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.s3like import operations
from benchmarks.s3like.access import Access, AccessKey, Gate
from benchmarks.s3like.answers import Answer, S3Error, json_answer
from benchmarks.s3like.bodies import body
from benchmarks.s3like.counts import Counts
from benchmarks.s3like.faults import Dice
from benchmarks.s3like.pacing import SharedPace, pace_connection
from benchmarks.s3like.profiles import Profile
from benchmarks.s3like.store import Store
from benchmarks.s3like.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.s3like.faults import Luck
    from benchmarks.s3like.wire import Request

__all__ = ["CONTROL", "Server"]

CONTROL = "/_s3like/"
"""Paths under it are not S3: they tell and set what the server does."""
_BACKLOG = 1024
_STACK_BYTES = 256 * 1024


class Server:
    """Serves one store on loopback under one profile at a time."""

    def __init__(self, profile: Profile, *, port: int = 0, buckets: Iterable[str] = ("bench",)) -> None:
        self.store = Store(buckets)
        self.counts = Counts()
        self.use(profile)
        self.guard(Access())
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]

    def use(self, profile: Profile) -> None:
        """Behave as a profile says, from the next request on."""
        self._profile = profile
        self._dice = Dice(profile)
        self._pace = SharedPace(profile.total_bytes_s)

    def guard(self, access: Access) -> None:
        """Let in whom `access` says, from the next request on."""
        self._gate = Gate(access)

    def run(self) -> None:
        """Serve until the process ends."""
        # Each large object is one open file.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if soft != hard else (soft, hard))
        threading.stack_size(_STACK_BYTES)
        while True:
            connected, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with connected:
            connection = Connection(connected)
            pace = 0
            try:
                while request := connection.request():
                    if request.path.startswith(CONTROL):
                        answer = self._control(request, b"".join(body(connection, request)))
                        connection.send(answer, with_body=True, parts=iter([answer.size]), take=_at_once)
                        continue
                    luck = self._dice.roll(
                        f"{request.method} {request.path} {request.query} {request.headers.get('range', '')}"
                    )
                    if luck.connection_bytes_s != pace:
                        pace = luck.connection_bytes_s
                        pace_connection(connected, pace)
                    if not self._answer(connection, request, luck):
                        return
            except (ConnectionError, TimeoutError):
                return  # the client has gone; that is its right

    def _answer(self, connection: Connection, request: Request, luck: Luck) -> bool:
        """Answer one request; tell whether the connection goes on."""
        self.counts.request(request.method)
        pieces = body(connection, request)
        answer = self._do(request, luck, self._counted(pieces))
        for _ in pieces:
            pass  # an error came before the body was read
        if luck.straggler:
            self.counts.fault("straggler")
        if luck.delay_s:
            time.sleep(luck.delay_s)
        with_body = request.method != "HEAD"
        stops = answer.blob is not None and with_body and answer.length > 1
        cut = stops and luck.cut_after is not None
        parts = self._parts(answer.size, luck) if stops else iter([answer.size])
        connection.send(answer, with_body=with_body, parts=parts, take=self._take)
        return not cut and request.headers.get("connection", "").lower() != "close"

    def _do(self, request: Request, luck: Luck, pieces: Iterator[bytes]) -> Answer:
        try:
            if luck.slow_down:
                self.counts.fault("slow_down")
                raise S3Error("SlowDown", request.path)  # noqa: TRY301  (one place makes answers of errors)
            self._gate.check(request)
            return operations.answer(self.store, request, pieces)
        except S3Error as error:
            return error.answer()

    def _take(self, size: int) -> None:
        # Counted before it leaves: a client that has it all finds it all counted.
        self.counts.moved(sent=size)
        self._pace.take(size)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.counts.moved(received=len(piece))
            yield piece

    def _parts(self, size: int, luck: Luck) -> Iterator[int]:
        """Where a body stops for a while, and where it ends."""
        end = size
        if luck.cut_after is not None:
            self.counts.fault("cut")
            end = min(size - 1, int(size * luck.cut_after))
        if luck.stall_after is not None:
            self.counts.fault("stall")
            yield int(end * luck.stall_after)
            time.sleep(self._profile.stall_s)
        yield end

    def _control(self, request: Request, sent: bytes) -> Answer:
        asked = (request.method, request.path.removeprefix(CONTROL))
        if asked == ("GET", "counts"):
            return json_answer(json.dumps(self.counts.as_dict()))
        if asked == ("POST", "reset"):
            self.counts.reset()
            self._dice.forget()
        elif asked == ("PUT", "profile"):
            self.use(Profile(**json.loads(sent)))
        elif asked == ("GET", "profile"):
            return json_answer(json.dumps(asdict(self._profile)))
        elif asked == ("PUT", "access"):
            rules = json.loads(sent)
            rules["keys"] = tuple(AccessKey(**key) for key in rules.get("keys", ()))
            self.guard(Access(**rules))
        elif asked == ("POST", "load"):
            wanted = json.loads(sent)
            return json_answer(json.dumps(self.store.load(wanted["bucket"], Path(wanted["folder"]), wanted["prefix"])))
        else:
            return S3Error("MethodNotAllowed", request.path).answer()
        return json_answer("{}")


def _at_once(_size: int) -> None:
    """No limit."""
