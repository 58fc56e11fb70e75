"""`lakeflow run | resume | runs | report | reproduce`: a foreach for people who live in a shell."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_line import lakeflow as run_lakeflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import lakeflow as lf

_numbers = itertools.count()

JOBS = """
from pathlib import Path
import pyarrow as pa
import pyarrow.compute as pc

def double(rows: pa.Table, factor: int = 2) -> pa.Table:
    return rows.set_column(2, "half", pc.multiply(rows["half"], float(factor)))

def picky(rows: pa.Table) -> pa.Table:
    if 7 in rows["id"].to_pylist() and not Path("mended").exists():
        raise ValueError("seven is bad")
    return rows

def both(rows: pa.Table) -> dict[str, pa.Table]:
    return {"left": rows.slice(0, 4), "right": rows.slice(4)}

def slow(rows: pa.Table) -> pa.Table:
    import time
    if rows["id"][0].as_py() < 30:
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.01)
    return rows

def row_by_row(rows: pa.Table, factor: int):
    for value in rows["id"].to_pylist():
        yield {"id": value}

def untouched(rows: pa.Table, factor: int) -> pa.Table:
    return rows

number = 7
"""


@pytest.fixture
def jobs(pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the current folder, beside a lakehouse with an input of four files."""
    del pair
    name = f"jobs_{os.getpid()}_{next(_numbers)}"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.py").write_text(JOBS)
    return name


@pytest.fixture
def lakeflow(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; its exit code, standard output and standard error."""
    return partial(run_lakeflow, capfd)


def call(pair: Any, function: str, *options: str) -> list[str]:
    """`lakeflow run` over the four shards of the input."""
    return ["run", function, "--over", pair.source.name, "--into", pair.into.name, "--n", "4", *options]


def test_a_run_commits_and_says_so(pair: Any, jobs: str, lakeflow: Any) -> None:
    """Rows, snapshot and shards for people on standard output, the run's id before on standard error."""
    code, out, err = lakeflow(*call(pair, f"{jobs}:double", "--run-id", "d1", "--param", "factor=3"))

    [snapshot] = pair.into.refresh().snapshots()
    assert (code, list(range(40))) == (0, pair.written)
    assert out.startswith(f"d1: 40 rows in snapshot {snapshot.id}; 4 shards in ")
    assert "run d1" in err
    assert pair.into.scan(where="id = 4", columns=["half"]).read().to_pylist() == [{"half": 6.0}]


def test_the_same_run_again_is_a_no_op(pair: Any, jobs: str, lakeflow: Any) -> None:
    """The same snapshot, nothing run; JSON is one line and all that is on standard output."""
    lakeflow(*call(pair, f"{jobs}:double", "--run-id", "d1"))

    code, out, _ = lakeflow(*call(pair, f"{jobs}:double", "--run-id", "d1", "--json"))

    [snapshot] = pair.into.refresh().snapshots()
    found = json.loads(out)
    del found["seconds"]
    assert code == 0
    assert found == {
        "run_id": "d1", "outputs": {"output": str(snapshot.id)}, "rows": 40, "shards": 4, "ran": 0, "quarantined": [],
    }  # fmt: skip


def test_columns_where_and_partial_reads(pair: Any, jobs: str, lakeflow: Any) -> None:
    """What is read is what was asked for."""
    code, _, _ = lakeflow(*call(pair, f"{jobs}:picky", "--where", "id >= 10 and id < 13", "--columns", "id, text"))

    assert (code, [10, 11, 12]) == (0, pair.written)


def test_several_outputs_by_name(pair: Any, embedded: lf.Lake, numbers: Any, jobs: str, lakeflow: Any) -> None:
    """`--into NAME=TABLE` for each key of the dict that the function returns."""
    right = embedded.create_table("kg.right", numbers(1).schema)
    arguments = ["run", f"{jobs}:both", "--over", pair.source.name, "--n", "4", "--json"]

    code, out, _ = lakeflow(*arguments, "--into", f"left={pair.into.name}", "--into", "right=kg.right")

    outputs = json.loads(out)["outputs"]
    assert code == 0
    assert (len(pair.written), len(right.refresh().scan().read())) == (16, 24)
    assert outputs == {"left": str(pair.into.snapshot.id), "right": str(right.snapshot.id)}


def test_a_function_that_fails_is_code_1(pair: Any, jobs: str, lakeflow: Any) -> None:
    """The message names the shard; nothing is committed; mended, `resume` goes on from the id alone."""
    code, out, err = lakeflow(*call(pair, f"{jobs}:picky", "--run-id", "p1", "--engine", "serial"))
    (Path.cwd() / "mended").touch()

    resumed, told, _ = lakeflow("resume", "p1", "--json")

    assert (code, out) == (1, "")
    assert "shard-0000" in err
    assert "seven is bad" in err
    assert (resumed, list(range(40))) == (0, pair.written)
    assert json.loads(told)["ran"] < 4


def test_what_is_set_aside_is_told(pair: Any, jobs: str, lakeflow: Any) -> None:
    """A partial commit is code 0, with a warning that names the shard and the report."""
    code, out, err = lakeflow(*call(pair, f"{jobs}:picky", "--run-id", "p1", "--on-error", "quarantine"))

    assert (code, 30) == (0, len(pair.written))
    assert "p1: 30 rows" in out
    assert "Set aside: 1 shard, whose rows are missing: shard-0000" in err
    assert "lakeflow report p1" in err


@pytest.mark.parametrize(("budget", "expected"), [("0", 1), ("0%", 1), ("1", 0), ("50%", 0), ("0.3", 0)])
def test_a_failure_budget(pair: Any, jobs: str, lakeflow: Any, budget: str, expected: int) -> None:
    """A count or a share of shards."""
    options = ["--on-error", "quarantine", "--max-failures", budget]

    assert lakeflow(*call(pair, f"{jobs}:picky", *options))[0] == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--param", "factor"], "KEY=JSON"),
        (["--param", "factor=abc"], "'factor=\"abc\"'"),
        (["--max-failures", "few"], "1%"),
        (["--deadline", "0"], "--deadline"),
        (["--into", "a=kg.a"], "--into"),
        (["--mode", "replace"], "--mode"),
        (["--by", "partition"], "one way at a time"),
        (["--run-id", "a/b"], "a/b"),
        (["--engine", "bogus"], "bogus"),
    ],
)
def test_what_can_not_be_is_code_2(pair: Any, jobs: str, lakeflow: Any, options: list[str], said: str) -> None:
    """The call must be changed; nothing has run."""
    code, out, err = lakeflow(*call(pair, f"{jobs}:double", *options))

    assert (code, out) == (2, "")
    assert said in err
    assert pair.into.refresh().snapshots() == []


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("{jobs}", "MODULE:FUNCTION"),
        ("{jobs}:", "MODULE:FUNCTION"),
        ("nowhere_at_all:f", "no module 'nowhere_at_all'"),
        ("{jobs}:doubled", "both, double, picky, row_by_row, slow, untouched"),
        ("{jobs}:number", "can't be called"),
    ],
)
def test_a_function_that_is_not_there(pair: Any, jobs: str, lakeflow: Any, function: str, said: str) -> None:
    """One sentence says what there is instead."""
    code, _, err = lakeflow(*call(pair, function.format(jobs=jobs)))

    assert code == 2
    assert said in err


@pytest.mark.parametrize("source", ["import nothing_such", "1 / 0"])
def test_a_module_that_can_not_be_imported(pair: Any, jobs: str, lakeflow: Any, source: str) -> None:
    """It is its own mistake, and is told as that: code 1."""
    (Path.cwd() / f"{jobs}_bad.py").write_text(source)

    code, _, err = lakeflow(*call(pair, f"{jobs}_bad:f"))

    assert code == 1
    assert f"{jobs}_bad can't be imported" in err


def test_runs_are_listed(pair: Any, jobs: str, lakeflow: Any) -> None:
    """State, progress, owner and age of each, newest first; for scripts as JSON."""
    lakeflow(*call(pair, f"{jobs}:double", "--run-id", "one"))
    lakeflow(*call(pair, f"{jobs}:picky", "--run-id", "two", "--engine", "serial"))

    code, out, _ = lakeflow("runs")
    found = json.loads(lakeflow("runs", "--json")[1])
    elsewhere = json.loads(lakeflow("runs", "--json", "--into", pair.source.name)[1])

    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert [line[0] for line in lines] == ["run", "two", "one"]
    states = [(each["run_id"], each["state"], each["total"]) for each in found]
    assert states == [("two", "failed", 4), ("one", "committed", 4)]
    assert found[1]["progress"] == 1.0
    assert elsewhere == []


def test_no_runs_yet(pair: Any, jobs: str, lakeflow: Any) -> None:
    """An empty table, and where to begin."""
    del pair, jobs
    code, out, err = lakeflow("runs")

    assert (code, len(out.splitlines())) == (0, 1)
    assert "No runs yet" in err


def test_an_abandoned_run_is_collected(pair: Any, jobs: str, lakeflow: Any) -> None:
    """A dry run tells its files, gc deletes them, and the run can't be resumed any more."""
    lakeflow(*call(pair, f"{jobs}:picky", "--run-id", "p1", "--engine", "serial"))
    files = pair.files

    would = json.loads(lakeflow("runs", "gc", "--dry-run", "--older-than", "0s", "--json")[1])
    kept = pair.files
    code, out, _ = lakeflow("runs", "gc", "--older-than", "0s")
    resumed, _, err = lakeflow("resume", "p1")

    assert len(files) == 3
    assert [(each["run_id"], each["state"], each["files"], each["deleted"]) for each in would] == [
        ("p1", "abandoned", files, False)
    ]
    assert (kept, code, pair.files) == (files, 0, [])
    assert "Deleted 3 files" in out
    assert resumed == 1
    assert "given up" in err


@pytest.mark.parametrize("span", ["7", "d", "-1d", "1y", "7 days"])
def test_a_time_that_is_none(pair: Any, jobs: str, lakeflow: Any, span: str) -> None:
    """Written as 90m, 36h or 7d."""
    del pair, jobs
    assert lakeflow("runs", "gc", "--dry-run", "--older-than", span)[0] == 2


@pytest.mark.parametrize("options", [(), ("-o", "page.html")])
def test_a_report_is_written(pair: Any, jobs: str, lakeflow: Any, options: tuple[str, ...]) -> None:
    """To RUN.html, or where it was asked for; the path is printed, or is in the JSON."""
    lakeflow(*call(pair, f"{jobs}:picky", "--run-id", "p1", "--engine", "serial"))

    code, out, _ = lakeflow("report", "p1", *options)

    file = Path.cwd() / (options[1] if options else "p1.html")
    assert (code, out.strip()) == (0, str(file))
    assert "seven is bad" in file.read_text()
    assert json.loads(lakeflow("report", "p1", *options, "--json")[1]) == {"run_id": "p1", "file": str(file)}


def test_a_report_of_no_run(pair: Any, jobs: str, lakeflow: Any) -> None:
    """Names the closest one."""
    lakeflow(*call(pair, f"{jobs}:double", "--run-id", "double-1"))

    code, _, err = lakeflow("report", "duoble-1")

    assert code == 2
    assert "did you mean double-1" in err


def test_a_report_that_can_not_be_written(pair: Any, jobs: str, lakeflow: Any) -> None:
    """A folder that isn't there is one sentence, and no file is left."""
    lakeflow(*call(pair, f"{jobs}:double", "--run-id", "d1"))

    code, _, err = lakeflow("report", "d1", "-o", "nowhere/page.html")

    assert code == 2
    assert "nowhere/page.html" in err


def test_a_shard_is_reproduced(pair: Any, jobs: str, lakeflow: Any) -> None:
    """Alone and in this process: its rows, and nothing written."""
    lakeflow(*call(pair, f"{jobs}:double", "--run-id", "d1", "--param", "factor=3"))
    files = pair.files

    code, out, _ = lakeflow("reproduce", "d1", "shard-00002", "-n", "2", "--json")
    _, plain, _ = lakeflow("reproduce", "d1", "shard-00002", "--function", f"{jobs}:untouched", "--json", "-n", "1")
    other = json.loads(plain)

    yielded = lakeflow("reproduce", "d1", "shard-00002", "--function", f"{jobs}:row_by_row", "--json")[1]

    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, len(rows), len(yielded.splitlines())) == (0, 2, 10)
    assert rows[0]["half"] == pytest.approx(1.5 * rows[0]["id"])
    assert other["half"] == pytest.approx(0.5 * other["id"])
    assert pair.files == files


def test_a_shard_that_fails_shows_its_traceback(pair: Any, jobs: str, lakeflow: Any) -> None:
    """The function's own, from its first line; code 1."""
    lakeflow(*call(pair, f"{jobs}:picky", "--run-id", "p1", "--engine", "serial"))
    codes = {}

    for shard in range(4):
        code, _, err = lakeflow("reproduce", "p1", f"shard-{shard:05d}")
        codes[code] = err

    assert codes.keys() == {0, 1}
    assert "ValueError: seven is bad" in codes[1]
    assert codes[1].count("  File ") == 1
    assert f"{jobs}.py" in codes[1]


@pytest.mark.parametrize("shard", ["shard-00004", "shard-7", "item-00000", "nothing", "shard-00000.9of4"])
def test_a_shard_that_is_not_there(pair: Any, jobs: str, lakeflow: Any, shard: str) -> None:
    """Says which there are."""
    lakeflow(*call(pair, f"{jobs}:double", "--run-id", "d1"))

    code, _, err = lakeflow("reproduce", "d1", shard)

    assert code == 2
    assert "shard-00000" in err


def wait_until(process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
    """Wait for what a process does, as long as it lives."""
    while not seen():
        assert process.poll() is None
        time.sleep(0.01)


@pytest.fixture
def _as_in_a_shell() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt; where tests run in the background, processes may begin with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("_as_in_a_shell")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_says_how_to_resume(pair: Any, jobs: str, lakeflow: Any, times: int) -> None:
    """Once: what runs ends, twice: at once; both are code 130 and name the command that goes on, which works."""
    arguments = call(pair, f"{jobs}:slow", "--run-id", "s1", "--slots", "2")
    log = Path("log")
    with log.open("w") as stderr:
        driver = subprocess.Popen([sys.executable, "-m", "lakeflow", *arguments], stderr=stderr)
    wait_until(driver, Path("begun").exists)

    driver.send_signal(signal.SIGINT)
    wait_until(driver, lambda: "Once more stops at once" in log.read_text())
    if times > 1:
        driver.send_signal(signal.SIGINT)
    Path("go").touch()
    driver.wait(100)
    code, out, _ = lakeflow("resume", "s1", "--json")

    err = log.read_text()
    assert driver.returncode == 130, err
    assert "lakeflow resume s1" in err
    assert "Traceback" not in err
    assert (code, list(range(40))) == (0, pair.written)
    assert json.loads(out)["ran"] < 4 or times == 2
