"""URLs of servers: TCP, unix sockets, TLS; what opens which; what is refused."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.cache.valkey import ValkeyCache, push
from lakeflow_io.errors import AccessDeniedError, ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakeflow.cache import Cache


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "127.0.0.1:6379",
        "http://h:1",
        "valkey://",
        "valkey://h:x",
        "valkey://h/db",
        "valkey://h?db=1",
        "valkey://h?ssl_ca_certs=x",
        "valkeys://h?ssl_nothing=x",
        "valkey+unix://",
        "valkey+unix://host/path",
        "unix:///path?db=x",
        "unix:///path?other=1",
        "valkey://u:secret@h/x",
    ],
)
def test_a_wrong_url_is_named(wrong: str) -> None:
    """Without the password that may be in it."""
    with pytest.raises(ConfigError, match="isn't the URL") as caught:
        ValkeyCache("scores", wrong)

    assert "secret" not in str(caught.value)


def test_open_cache_opens_each_kind(rows_of: Any, cache: Cache, url: str) -> None:
    """A folder and a server read alike."""
    cache.load(rows_of("a"), key="id")
    push(cache, url)

    local, pushed = (lf.open_cache("scores", where) for where in (cache.root, url))

    assert isinstance(local, lf.Cache)
    assert isinstance(pushed, ValkeyCache)
    for reader in (local, pushed):
        assert (reader.name, reader.key, reader.schema) == ("scores", "id", cache.schema)
        assert reader.version == cache.version
        assert reader.get(5) == {"id": 5, "tag": "a"}
        assert reader.get_many([5, -1]).equals(cache.get_many([5, -1]))


def test_a_cache_is_not_kept_in_a_server() -> None:
    """The error names what reads one there, and no password."""
    with pytest.raises(ConfigError, match=r"open_cache") as caught:
        lf.Cache("scores", "valkey://u:secret@h")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["valkey+unix", "redis+unix", "unix"])
def test_a_unix_socket(running: Any, rows_of: Any, cache: Cache, tmp_path: Path, scheme: str) -> None:
    """With a database and a password."""
    cache.load(rows_of("a"), key="id")
    path = tmp_path / "s"
    with running(tmp_path, "--unixsocket", str(path), "--requirepass", "p@ss"):
        url = f"{scheme}://:p%40ss@{path}?db=2"

        assert push(cache, url).written
        assert ValkeyCache("scores", url).get(5)["tag"] == "a"
        with pytest.raises(StoreError, match="Can't reach"):
            ValkeyCache("scores", f"{scheme}://{path}x").get(5)


@pytest.fixture
def tls(tmp_path: Path, port: int) -> Iterator[tuple[int, str]]:
    """A server behind TLS: the one that the tests run has none, so a proxy adds it; its port, and its certificate."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    program = shutil.which("openssl") or pytest.skip("there is no openssl, which makes the certificate")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def copy(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(1 << 16):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listener.accept()
                    with suppress(ssl.SSLError):
                        client = stack.enter_context(context.wrap_socket(taken, server_side=True))
                        server = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                        for pair in ((client, server), (server, client)):
                            threading.Thread(target=copy, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], str(certificate)


@pytest.mark.usefixtures("url")
def test_tls(tls: tuple[int, str], rows_of: Any, cache: Cache) -> None:
    """A push and look-ups with a certificate that is trusted; another is refused."""
    port, certificate = tls
    cache.load(rows_of("a" * 100, 30_000), key="id")
    for scheme in ("valkeys", "rediss"):
        url = f"{scheme}://localhost:{port}/3"
        with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
            push(cache, url)
        with pytest.raises(ConfigError, match="can't be used"):
            push(cache, f"{url}?ssl_ca_certs=/nowhere.pem")

        push(cache, f"{url}?ssl_ca_certs={certificate}")
        reader = ValkeyCache("scores", f"{url}?ssl_ca_certs={certificate}")

        assert cache.get_many(range(30_001)).equals(reader.get_many(range(30_001)))


def test_users_need_the_documented_rights_only(rows_of: Any, cache: Cache, url: str, raw: Any) -> None:
    """Those that the document lists; without INFO a server is taken for one alone that has room."""
    text = (Path(__file__).parents[4] / "docs/cache.md").read_text(encoding="utf-8")
    reads, pushes = (line.split("`")[1].split() for line in text.splitlines() if line.startswith("- `+get "))
    for name, rights in (("reads", reads), ("pushes", pushes), ("blind", [each for each in pushes if each != "+info"])):
        raw.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", "~lakeflow:{scores*", *rights)
    users = {name: url.replace("//", f"//{name}:secret@") for name in ("reads", "pushes", "blind")}

    for tag, user in (("a", "pushes"), ("b", "blind"), ("c", "pushes")):
        cache.load(rows_of(tag), key="id")
        push(cache, users[user])
        reader = ValkeyCache("scores", users["reads"])
        assert reader.get(5)["tag"] == tag
        assert reader.get_many([5])["tag"].to_pylist() == [tag]

    cache.load(rows_of("d"), key="id")
    with pytest.raises(AccessDeniedError, match="denies access"):
        push(cache, users["reads"])
