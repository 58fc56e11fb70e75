"""The server in a process of its own, so that its GIL isn't the client's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.s3like.profiles import PROFILES, Profile
from benchmarks.s3like.server import CONTROL

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from benchmarks.s3like.access import Access

__all__ = ["S3Like", "run_s3like"]

_ROOT = Path(__file__).parents[2]
_CONTROL_SECONDS = 300  # the longest thing that is asked for is to load a large folder


@dataclass(frozen=True, slots=True)
class S3Like:
    """A running server."""

    port: int
    pid: int
    bucket: str

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store_properties(self) -> dict[str, str]:
        """How to reach it, as catalogs take it; it lets in any key unless `guard` says otherwise."""
        return {
            "s3.endpoint": self.endpoint,
            "s3.region": "us-east-1",
            "s3.access-key-id": "s3like",
            "s3.secret-access-key": "s3like-secret",
        }

    def counts(self) -> dict[str, Any]:
        """What it did since the last reset: `requests`, `verbs`, `bytes_sent`, `bytes_received`, `faults`."""
        counted: dict[str, Any] = self._ask("GET", "counts")
        return counted

    def reset(self) -> None:
        """Set all counts to zero; the next request of each kind is its first again."""
        self._ask("POST", "reset")

    def use(self, profile: Profile | str) -> None:
        """Change its behaviour from the next request on."""
        self._ask("PUT", "profile", asdict(_named(profile)))

    def guard(self, access: Access) -> None:
        """Let in only whom `access` says."""
        self._ask("PUT", "access", asdict(access))

    def load(self, folder: Path, prefix: str = "") -> int:
        """Put each file under `folder` into the bucket, without S3's verbs; returns how many.

        Args:
            folder: Files at any depth.
            prefix: A key is this and the file's path within `folder`.
        """
        wanted = {"bucket": self.bucket, "folder": str(folder.resolve()), "prefix": prefix}
        return int(self._ask("POST", "load", wanted))

    def _ask(self, method: str, what: str, sent: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_CONTROL_SECONDS)
        try:
            connection.request(method, CONTROL + what, json.dumps(sent) if sent is not None else None)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:  # noqa: PLR2004  (OK)
            raise RuntimeError(f"the server answered {answer.status} to {method} {what}: {text.decode()}")
        return json.loads(text)


@contextmanager
def run_s3like(
    profile: Profile | str = "none", *, load: Path | None = None, buckets: Iterable[str] = ("bench",)
) -> Generator[S3Like]:
    """Run a server on a free port of loopback; it ends with this block, and with this thread whatever happens.

    Args:
        profile: How it behaves, or a name out of `PROFILES`.
        load: A folder whose files are objects of the first bucket from the start.
        buckets: The buckets there are.

    Raises:
        RuntimeError: it doesn't start.
    """
    names = list(buckets)
    settings = json.dumps({"profile": asdict(_named(profile)), "buckets": names, "parent": os.getpid()})
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.s3like", "--settings", settings],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101  (asked for)
    try:
        said = process.stdout.readline()
        if not said:
            raise RuntimeError(f"the S3-like server ended with status {process.wait()}")
        server = S3Like(int(said), process.pid, names[0])
        if load is not None:
            server.load(load)
        yield server
    finally:
        process.kill()  # it has nothing to save
        process.wait()
        process.stdout.close()


def _named(profile: Profile | str) -> Profile:
    return PROFILES[profile] if isinstance(profile, str) else profile
