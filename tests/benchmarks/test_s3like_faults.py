"""The S3-like server's faults are what its profile says, and the same for the same seed."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from statistics import median

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.s3like import PROFILES, Access, AccessKey, Profile
from benchmarks.s3like import pacing as pacing_module
from benchmarks.s3like.faults import Dice
from benchmarks.s3like.pacing import SharedPace, pace_connection

FAULTS = PROFILES["s3-faults"]
BODY = bytes(range(256)) * 4000


def _get(server, key="body"):
    """Status and body of a GET on a connection of its own; the body alone if it is cut."""
    connection = HTTPConnection("127.0.0.1", server.port)
    try:
        connection.request("GET", f"/bench/{key}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except IncompleteRead as cut:
        return "cut", cut.partial
    finally:
        connection.close()


@given(order=st.permutations([f"GET /bench/{number % 4}" for number in range(12)]))
def test_luck_does_not_depend_on_the_order(order):
    """The n-th request of a kind meets the same luck, whatever is asked for in between."""

    def lucks(requests):
        dice = Dice(FAULTS)
        met = {}
        for request in requests:
            met.setdefault(request, []).append(dice.roll(request))
        return met

    assert lucks(sorted(order)) == lucks(order)


def test_shares_are_what_the_profile_says():
    """Of many requests, each fault meets its share, and delays have their median."""
    profile = replace(PROFILES["s3-tail"], slow_down_share=0.05, cut_share=0.02, stall_share=0.01)
    dice = Dice(profile)

    lucks = [dice.roll(f"GET /bench/{number}") for number in range(20_000)]

    for share, met in [
        (0.05, [luck.slow_down for luck in lucks]),
        (0.02, [luck.cut_after is not None for luck in lucks]),
        (0.01, [luck.stall_after is not None for luck in lucks]),
        (0.01, [luck.straggler for luck in lucks]),
    ]:
        assert share == pytest.approx(sum(met) / len(met), rel=0.15)
    assert median(luck.delay_s for luck in lucks) == pytest.approx(0.030, rel=0.02)


def test_another_seed_is_another_run():
    """The seed decides, and nothing else."""
    first, again, other = (
        [Dice(replace(FAULTS, seed=seed)).roll(f"GET /{number}") for number in range(50)] for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_faults_come_again_after_a_reset(server, s3):
    """The same requests of a running server meet the same faults once it is reset."""
    for number in range(40):
        s3.put_object(Bucket="bench", Key=f"again/{number}", Body=BODY)
    server.use(Profile("faults", slow_down_share=0.2, cut_share=0.2))
    seen = []

    for _ in range(2):
        server.reset()
        seen.append(([_get(server, f"again/{number}") for number in range(40)], server.counts()))

    assert seen[0] == seen[1]
    answers, counts = seen[0]
    assert counts["faults"]["slow_down"] == sum(status == 503 for status, _ in answers)
    assert 0 < counts["faults"]["cut"] == sum(status == "cut" for status, _ in answers)


def test_a_cut_body_is_a_part_of_it(server, s3):
    """A cut body is a beginning of the object, short of what was promised, and only that is counted as sent."""
    s3.put_object(Bucket="bench", Key="body", Body=BODY)
    server.use(Profile("cut", cut_share=1))
    server.reset()

    status, body = _get(server)

    assert status == "cut"
    assert len(body) < len(BODY)
    assert BODY.startswith(body)
    assert server.counts()["bytes_sent"] == len(body)


def test_a_stalled_body_goes_on(server, s3):
    """After a stall the rest of the body comes."""
    s3.put_object(Bucket="bench", Key="body", Body=BODY)
    server.use(Profile("stall", stall_share=1, stall_s=0.001))

    answer = _get(server)

    assert answer == (200, BODY)
    assert server.counts()["faults"] == {"stall": 1}


def test_slow_down_is_503(server, s3):
    """A refused request is SlowDown to a client, also one whose body the server hasn't read."""
    server.use(Profile("busy", slow_down_share=1))

    for _ in range(2):  # on one connection
        with pytest.raises(ClientError, match="SlowDown"):
            s3.put_object(Bucket="bench", Key="body", Body=BODY)

    assert server.counts()["faults"] == {"slow_down": 2}


def test_a_key_is_good_for_so_many_requests(server, client):
    """A key expires after its requests; one that has not goes on; an unknown one is refused."""
    server.guard(Access(keys=(AccessKey("old", requests=2), AccessKey("new"))))
    old, new, unknown = client("old"), client("new"), client("unknown")

    assert [old.list_objects_v2(Bucket="bench")["KeyCount"] >= 0 for _ in range(2)] == [True, True]
    with pytest.raises(ClientError, match="ExpiredToken"):
        old.list_objects_v2(Bucket="bench")
    new.list_objects_v2(Bucket="bench")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        unknown.list_objects_v2(Bucket="bench")


def test_a_key_expires_at_its_moment(server, client):
    """From that moment on, the key's requests are refused."""
    server.guard(Access(keys=(AccessKey("past", expires_at=1.0), AccessKey("future", expires_at=4e9))))

    client("future").list_objects_v2(Bucket="bench")
    with pytest.raises(ClientError, match="ExpiredToken"):
        client("past").list_objects_v2(Bucket="bench")


def test_a_wrong_region_and_a_denied_path_are_told(server, client):
    """The region of the signature, and a prefix that nobody may read."""
    server.guard(Access(region="eu-west-1", denied="/bench/secret/"))

    with pytest.raises(ClientError, match="AuthorizationHeaderMalformed"):
        client().list_objects_v2(Bucket="bench")
    client(region="eu-west-1").put_object(Bucket="bench", Key="open", Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(region="eu-west-1").get_object(Bucket="bench", Key="secret/key")


def test_the_total_is_held(monkeypatch):
    """Chunks of any number of connections leave at the shared pace, never ahead of it."""
    now = 0.0

    class _Clock:
        def monotonic(self):
            return now

        def sleep(self, seconds):
            nonlocal now
            now += seconds

    monkeypatch.setattr(pacing_module, "time", _Clock())
    pace = SharedPace(500_000_000)

    for _ in range(2000):
        pace.take(256 * 1024)

    assert 2000 * 256 * 1024 / now == pytest.approx(500_000_000, rel=0.01)


def test_the_kernel_holds_a_connections_pace():
    """A connection's pace is the socket's own; 0 takes it off."""
    with socket.socket() as connection:
        rates = []
        for rate in (80_000_000, 0):
            pace_connection(connection, rate)
            rates.append(connection.getsockopt(socket.SOL_SOCKET, pacing_module.SO_MAX_PACING_RATE) & 0xFFFFFFFF)

    assert rates == [80_000_000, 0xFFFFFFFF]


def test_it_ends_with_its_parent():
    """A parent that is killed takes its server along."""
    code = (
        "import sys\nfrom benchmarks.s3like import run_s3like\n"
        "with run_s3like() as server:\n    print(server.pid, flush=True)\n    sys.stdin.read()\n"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server = os.pidfd_open(int(parent.stdout.readline()))

    parent.send_signal(signal.SIGKILL)

    assert select.select([server], [], [], 60)[0] == [server]
    os.close(server)
    parent.communicate()
