"""What a task prints: the end of it is kept, not too much of it is shown, and each task's is its own."""

# ruff: noqa: T201  (printing is what is tested)

from __future__ import annotations

import logging
import sys
import threading

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeflow.runs.attempts.printed import KEPT_CHARACTERS, Printed, printed


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(1, 9000)), max_size=20))
def test_the_end_is_kept(parts: list[tuple[str, int]]) -> None:
    """Whatever comes in whatever pieces: the last 64 Ki characters, and little more is held."""
    task = Printed("task")
    for text, times in parts:
        task.add(text * times)

    whole = "".join(text * times for text, times in parts)
    assert task.text == whole[-KEPT_CHARACTERS:]
    assert sum(map(len, task._parts)) <= 2 * KEPT_CHARACTERS


def test_a_million_lines_are_held_and_shown_in_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal gets the first of them and a word about the rest; the last are kept."""
    with printed("shard-00007") as task:
        for number in range(1_000_000):
            print(number)

    shown = capsys.readouterr().out
    assert task.text.endswith("999998\n999999\n")
    assert len(task.text) == KEPT_CHARACTERS
    assert shown.startswith("0\n1\n2\n")
    assert shown.endswith("[shard-00007 prints more than is shown here]\n")
    assert len(shown) < KEPT_CHARACTERS + 100


def test_both_streams_are_caught_and_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Output and errors in the order in which they came; afterwards everything is as before."""
    before = sys.stdout, sys.stderr
    with printed("task") as task:
        print("one")
        print("two", file=sys.stderr)
        sys.stdout.writelines(["three\n"])

    assert task.text == "one\ntwo\nthree\n"
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("one\nthree\n", "two\n")


def test_each_thread_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Tasks that print at the same time are told apart; what no task prints passes."""
    texts: dict[str, str] = {}
    barrier = threading.Barrier(3)

    def work(name: str) -> None:
        with printed(name) as task:
            barrier.wait()
            for number in range(100):
                print(name, number)
            barrier.wait()
            texts[name] = task.text

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    barrier.wait()
    print("driver")
    barrier.wait()
    for thread in threads:
        thread.join()

    assert {name: texts[name].splitlines() for name in texts} == {
        name: [f"{name} {number}" for number in range(100)] for name in ("a", "b")
    }
    assert "driver\n" in capsys.readouterr().out


def test_what_is_logged_is_kept_too() -> None:
    """Where logging is set up, its handlers know the streams from before; records are kept all the same."""
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    try:
        with printed("task") as task:
            logging.getLogger("user").warning("look here")
    finally:
        root.removeHandler(handler)

    assert "WARNING user: look here" in task.text


def test_a_stream_of_text_refuses_bytes() -> None:
    """As any other does: click tells streams of text and of bytes apart by trying."""
    with printed("shard-00000") as task:
        with pytest.raises(TypeError):
            sys.stdout.write(b"")  # type: ignore[arg-type]
        click.echo("hello")

    assert task.text == "hello\n"
