"""Progress is calm: one line that fits, or few lines in a log; and nothing where it isn't wanted."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from rich.console import Console

from lakeflow.runs.progress import progress
from lakeflow.runs.progress.progress import LogLines, progress_shown, told
from lakeflow.runs.progress.tally import Tally


def tally(done: int, works: int, running: int = 0, failed: int = 0, retries: int = 0) -> Tally:
    """A count in the middle of a run of shards of 1 MB."""
    made = Tally([])
    made.works, made.bytes_total = works, works * 1_000_000
    made.works_done, made.bytes_done, made.rows_in = done, done * 1_000_000, done * 5_000
    made._running = {f"shard-{k}": {0} for k in range(running)}
    made._given_up = {f"shard-{k}": "quarantined" for k in range(failed)}
    made.retries = retries
    return made


def test_what_is_told() -> None:
    """Shards, time left, running, failed, retried, rows and bytes a second."""
    assert told(tally(10_000, 40_000, 16, 3, 5), 100.0) == [
        "10,000/40,000 shards", "5 min 00 s left", "16 running", "3 failed", "5 retried", "500 k rows/s", "100 MB/s",
    ]  # fmt: skip


def test_what_is_told_at_first() -> None:
    """No rate and no time left before there is one; no failures where there are none."""
    assert told(tally(0, 4, 4), 0.5) == ["0/4 shards", "4 running"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140, 200])
@pytest.mark.parametrize("works", [4, 40_000])
def test_a_line_fits_the_terminal(works: int, width: int) -> None:
    """It is one line, whatever there is to say; the number of shards is left out last."""
    line = progress._drawn("foreach score", tally(works // 2, works, 16, 3, 5), 100.0, width)

    assert line.cell_len <= width
    assert "\n" not in line.plain
    if width >= 60:
        assert f"{works // 2:,}/{works:,} shards" in line.plain
        assert line.plain.endswith("  1 min 40 s")


def shown(caplog: Any, monkeypatch: pytest.MonkeyPatch, *, terminal: bool, **options: Any) -> Any:
    """What a run of three shards shows on standard error, and in the log."""
    out = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=out, force_terminal=terminal, width=100))
    with caplog.at_level(logging.INFO, logger="lakeflow.progress"), progress_shown("foreach f", tally(3, 3), **options):
        pass
    return out.getvalue(), [record.getMessage() for record in caplog.records]


def test_a_terminal_gets_a_line_and_the_log_nothing(caplog: Any, monkeypatch: Any) -> None:
    """The line is taken away at the end."""
    text, log = shown(caplog, monkeypatch, terminal=True)

    assert "3/3 shards" in text
    assert text.count("\n") <= 1
    assert log == []


def test_a_log_gets_the_first_line_and_the_last(caplog: Any, monkeypatch: Any) -> None:
    """A run of an instant is two lines."""
    text, log = shown(caplog, monkeypatch, terminal=False)

    assert text == ""
    assert len(log) == 2
    assert log[0].startswith("foreach f: 3 shards, 3.00 MB")
    assert log[1].startswith("foreach f: 3 of 3 shards done, in ")


@pytest.mark.parametrize("terminal", [True, False])
def test_no_progress_is_silent(terminal: bool, caplog: Any, monkeypatch: Any) -> None:  # noqa: FBT001
    """`progress=False` shows and logs nothing anywhere."""
    assert shown(caplog, monkeypatch, terminal=terminal, show=False) == ("", [])


def test_the_last_line_is_there_when_a_run_fails(caplog: Any, monkeypatch: Any) -> None:
    """A log says how far it came."""
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=io.StringIO(), force_terminal=False))

    with (
        caplog.at_level(logging.INFO, logger="lakeflow.progress"),
        pytest.raises(ValueError, match="mine"),
        progress_shown("foreach f", tally(2, 3, failed=1)),
    ):
        raise ValueError("mine")

    assert "2 of 3 shards done, 1 failed" in caplog.records[-1].getMessage()


@pytest.mark.parametrize(("works", "seconds"), [(40_000, 10), (40_000, 3_600), (4, 3_600), (40_000, 86_400)])
def test_a_log_is_calm(works: int, seconds: int) -> None:
    """At most a line for each tenth and each half minute, whichever comes later, however many shards."""
    count = tally(0, works)
    lines = LogLines("foreach f", count, 0.0)
    told_at = []

    for second in range(1, seconds + 1):
        done = works * second // seconds
        count.works_done, count.bytes_done = done, done * 1_000_000
        if lines.due(float(second)):
            told_at.append(second)

    assert len(told_at) <= min(10, seconds // 30)
    assert all(later - earlier >= 30 for earlier, later in zip([0, *told_at], told_at, strict=False))
    assert bool(told_at) == (seconds >= 30)


def test_warnings_stand_above_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning during a run is a line of its own, and logging is as it was afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=stream, force_terminal=True, width=100))
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)

    with progress_shown("foreach f", tally(3, 3)):
        logging.getLogger("lakeflow.runs").warning("shard-00001 will run again")
    logging.getLogger().removeHandler(handler)

    [line] = [line for line in stream.getvalue().splitlines() if "will run again" in line]
    assert "foreach f" not in line
    assert handler.stream is stream
