"""A cluster as docs/cluster.md sets it up: scheduler and workers as processes of their own, over TLS."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import yaml
from dask import config
from distributed import Client, Security

import lakeflow as lf
from lakeflow_engines.executors import carried, local_cluster, open_executor
from lakeflow_engines.executors import connect as connecting
from lakeflow_engines.executors.carried import carry, misfit, run_carried
from lakeflow_io.errors import ConfigError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
_START_SECONDS = 60
_HIDING = """
import sys

class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("lakeflow", "lakeflow_engines", "lakeflow_io"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hiding())
"""

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the page makes certificates with openssl")


@dataclass
class Cluster:
    """What the page makes, in a folder."""

    folder: Path
    address: str
    environment: dict[str, str]
    """With the driver's certificates."""

    def security(self, certificates: str = "tls") -> Security:
        """The driver's certificates, as an object."""
        made = self.folder / certificates
        return Security(
            tls_ca_file=str(made / "ca.crt"),
            tls_client_cert=str(made / "tls.crt"),
            tls_client_key=str(made / "tls.key"),
        )


def _block(heading: str, language: str) -> str:
    """The first block of a language below a heading of the page."""
    below = PAGE.split(f"\n## {heading}\n")[1]
    return re.search(rf"^```{language}\n(.*?)^```", below, re.DOTALL | re.MULTILINE)[1]


def _commands(heading: str) -> list[list[str]]:
    text = _block(heading, "sh").replace("\\\n", " ")
    return [shlex.split(line)[:-1] for line in text.splitlines() if line.startswith("dask ")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The page's blocks, one after the other, with free ports; what they start is stopped by its process ids."""
    folder = tmp_path_factory.mktemp("cluster")
    for made in (folder, folder / "stranger"):
        made.mkdir(exist_ok=True)
        subprocess.run(["sh", "-ec", _block("Certificates", "sh")], cwd=made, check=True, capture_output=True)
    (folder / "dask.yaml").write_text(_block("Settings", "yaml"), encoding="utf-8")
    scheduler, worker = _commands("Scheduler and workers")
    scheduler = [{"8786": "0", "127.0.0.1:8787": "127.0.0.1:0"}.get(word, word) for word in scheduler]
    environment = {**os.environ, "DASK_CONFIG": str(folder / "dask.yaml")}
    alone = {**environment, "PYTHONPATH": _without_lakeflow(folder)}
    started = [_start([*scheduler, "--scheduler-file", "scheduler.json"], folder, alone)]
    try:
        address = _address(folder / "scheduler.json", started[0])
        started.append(_start([address if "://" in word else word for word in worker], folder, environment))
        exports = dict(re.findall(r"^export (\w+)=(.*)$", _block("The driver", "sh"), re.MULTILINE))
        named = {name: value.replace("$PWD", str(folder)) for name, value in exports.items()}
        yield Cluster(folder, address, {**os.environ, **named, "SCHEDULER": address})
    finally:
        for process in reversed(started):
            _stop(process)


def _without_lakeflow(folder: Path) -> str:
    """A value of PYTHONPATH with which a process can't import what is installed here."""
    hiding = folder / "without"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text(_HIDING, encoding="utf-8")
    return str(hiding)


def _start(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with (folder / f"{command[1]}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            return json.loads(file.read_text(encoding="utf-8"))["address"]
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)
    raise AssertionError((file.parent / "scheduler.log").read_text(encoding="utf-8"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the session that it was started in, and so its workers
        process.wait(20)


def _configured(security: Security | None) -> Any:
    """Dask's configuration with the client's certificates, or without any."""
    return config.set(
        {
            "distributed.comm.tls.ca-file": security and security.tls_ca_file,
            "distributed.comm.tls.client.cert": security and security.tls_client_cert,
            "distributed.comm.tls.client.key": security and security.tls_client_key,
        }
    )


def _where(rows: pa.Table) -> pa.Table:
    """Each row, with the process that had it in place of half of its id."""
    return rows.set_column(2, "half", pa.array([float(os.getpid())] * len(rows)))


def test_the_driver_of_the_page_runs_on_the_cluster(cluster, tmp_path):
    """The page's program, with the page's environment, commits what the workers made."""
    (tmp_path / "driver.py").write_text(_block("The driver", "python"), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "driver.py"],
        cwd=tmp_path,
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "1000\n"


def test_the_driver_of_the_kubernetes_example_runs_on_the_cluster(cluster, tmp_path):
    """Its program, with the address where its Job has it, keeps 125 of each 130 readings."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "kubernetes" / "main.py")],
        cwd=tmp_path,
        env={**cluster.environment, "DASK_SCHEDULER_ADDRESS": cluster.address},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "8 of 8 shards ran now; 96,152 of 100,000 readings kept\n"


def test_a_client_with_certificates_of_its_own_is_an_engine(cluster, pair):
    """A foreach over two worker processes, through a `Client(security=...)`, commits one snapshot; the client stays."""
    with Client(cluster.address, security=cluster.security(), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=_START_SECONDS)
        run = lf.foreach(pair.source.scan().shards(n=4), _where, into=pair.into, engine=client, progress=False)
        workers = set(client.run(os.getpid).values())

    written = pair.into.refresh().scan().read().to_arrow()
    assert run.ran == 4
    assert pair.written == list(range(40))
    assert len(workers) == 2
    assert set(written["half"].to_pylist()) <= workers


def test_an_address_is_an_engine(cluster, pair):
    """A foreach finds its certificates in Dask's configuration."""
    with _configured(cluster.security()):
        lf.foreach(pair.source.scan().shards(n=4), _where, into=pair.into, engine=cluster.address, progress=False)

    assert pair.written == list(range(40))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are given up after a second."""
    monkeypatch.setattr(connecting, "_CONNECT_SECONDS", 1)


def test_a_driver_without_certificates_is_told_so(cluster):
    """Nothing is sent; the error names the settings."""
    with _configured(None), pytest.raises(ConfigError, match="no certificates for a client") as caught:
        open_executor(cluster.address)

    assert "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT" in str(caught.value)


@pytest.mark.parametrize("broken", ["missing", "garbage"])
def test_certificates_that_cannot_be_read_are_told(cluster, tmp_path, broken):
    """A path without a file, and a file that is no certificate, are the configuration's fault."""
    security = cluster.security()
    security.tls_client_cert = str(tmp_path / "tls.crt")
    if broken == "garbage":
        (tmp_path / "tls.crt").write_text("no certificate")

    with _configured(security), pytest.raises(ConfigError, match="can't be read"):
        open_executor(cluster.address)


def test_a_scheduler_of_another_authority_is_refused(cluster):
    """A driver whose authority didn't sign the scheduler's certificate sends nothing."""
    with _configured(cluster.security("stranger/tls")), pytest.raises(ConfigError, match="different authorities"):
        open_executor(cluster.address)


def test_a_driver_of_another_authority_is_refused(cluster):
    """The scheduler doesn't trust a driver that trusts it."""
    security = cluster.security("stranger/tls")
    security.tls_ca_file = cluster.security().tls_ca_file

    with _configured(security), pytest.raises(ConfigError, match="different authorities"):
        open_executor(cluster.address)


def test_the_page_sets_what_workers_of_this_machine_have():
    """What `engine="dask"` sets for its own cluster, because runs need it, is what the page says for another one."""
    page = yaml.safe_load(_block("Settings", "yaml"))

    for name, value in local_cluster._CONFIGURATION.items():
        if name.startswith(("distributed.scheduler.", "distributed.worker.memory.")):
            assert config.get(name, config=page) == value


def test_workers_of_this_machine_need_no_certificates(cluster):
    """`engine="dask"` runs where Dask's configuration, another cluster's, requires TLS."""
    with (
        _configured(cluster.security()),
        config.set({"distributed.comm.require-encryption": True}),
        closing(open_executor("dask", 1)) as executor,
    ):
        executor.submit("length", len, "abc")
        assert executor.next().value == 3


def test_news_of_other_clients_do_not_keep_a_driver_out(cluster, monkeypatch):
    """Dask's client fails where its scheduler's welcome doesn't come alone; it is made again."""
    tries = []

    def client(*arguments: Any, **options: Any) -> Any:
        tries.append(arguments)
        if len(tries) == 1:
            raise AssertionError
        return Client(*arguments, **options)

    monkeypatch.setattr("distributed.Client", client)

    with _configured(cluster.security()), closing(open_executor(cluster.address)) as executor:
        executor.submit("length", len, "abc")
        assert executor.next().value == 3

    assert len(tries) == 2


@pytest.mark.usefixtures("impatient")
def test_a_driver_in_clear_is_refused(cluster):
    """`tcp://` to a scheduler of TLS."""
    with pytest.raises(RunError, match="whether it is tcp:// or tls://"):
        open_executor(cluster.address.replace("tls://", "tcp://"))


@pytest.mark.usefixtures("impatient")
def test_a_scheduler_that_is_not_there_is_told(cluster):
    """Nobody listens on the port."""
    with socket.socket() as held:  # nobody else gets the port meanwhile
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

        with _configured(cluster.security()), pytest.raises(RunError, match=f"No Dask scheduler answers at .*{port}"):
            open_executor(f"tls://127.0.0.1:{port}")


def test_a_worker_without_lakeflow_refuses_tasks_and_lives(cluster):
    """Its tasks fail with an error that says what to install; the worker itself goes on."""
    command = _commands("Scheduler and workers")[1]
    command[2] = cluster.address
    command[command.index("--nworkers") : command.index("--nworkers") + 2] = ["--name", "foreign", "--no-nanny"]
    environment = {**os.environ, "PYTHONPATH": str(cluster.folder / "without")}
    foreign = _start(command, cluster.folder, environment)
    try:
        with Client(cluster.address, security=cluster.security(), set_as_default=False) as client:
            client.wait_for_workers(3, timeout=_START_SECONDS)
            failed = client.submit(run_carried, carry(len, "abc"), workers=["foreign"]).exception()
            after = client.submit(len, "abc", workers=["foreign"]).result()
    finally:
        foreign.kill()
        foreign.wait()

    assert "a worker of the cluster has none" in str(misfit(failed))
    assert after == 3


def test_a_worker_of_another_version_refuses_tasks(monkeypatch):
    """Before anything of the task is unpickled; the error names both versions."""
    task = carry(_must_not_be_called, "abc")
    monkeypatch.setattr(carried, "_own", lambda: "lakeflow 9.9.9 on Python 3.99")

    with pytest.raises(ConfigError, match=r"The driver has lakeflow 0\.\d.* lakeflow 9\.9\.9 on Python 3\.99"):
        run_carried(task)


def _must_not_be_called(text: str) -> None:
    raise AssertionError(text)


def test_the_arguments_of_a_task_are_not_logged():
    """A worker logs the arguments of a task that fails; those of some calls are credentials."""
    assert "secret" not in repr(carry(len, "secret"))
    assert run_carried(carry(len, "secret")) == 6
