"""`lakeflow tables | describe | head`: what they print, for people and for scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from command_line import lakeflow

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    import lakeflow as lf


@pytest.fixture
def table(embedded: lf.Lake, numbers: Callable[..., pa.Table]) -> lf.Table:
    """A table of three rows in the lake that the command line opens."""
    made = embedded.create_table("kg.titles", numbers(1).schema, partition_by=["bucket(2, id)"], sort_by=["id"])
    made.append(numbers(3))
    return made


def test_tables_lists_names_rows_and_layout(table: lf.Table, capsys: Any) -> None:
    """A line for each table, cut at tabs where nobody watches."""
    code, out, _ = lakeflow(capsys, "tables")

    header, line = [each.split("\t") for each in out.splitlines()]
    assert (0, "table", table.name, "3") == (code, header[0], line[0], line[1])
    assert line[-1] == "bucket(2, id)"


def test_tables_in_json(table: lf.Table, capsys: Any) -> None:
    """One array of facts, with the snapshot's id."""
    _, out, _ = lakeflow(capsys, "tables", "--json")

    [facts] = json.loads(out)
    assert (table.name, 3, table.snapshot.id) == (facts["table"], facts["rows"], facts["snapshot_id"])


def test_rows_are_at_most_where_some_are_deleted(table: lf.Table, numbers: Any, capsys: Any) -> None:
    """Deletes beside data files aren't counted before they are applied; `scan` counts."""
    table.append(numbers(10, 10))
    table.delete("id = 12")
    [facts] = json.loads(lakeflow(capsys, "tables", "--json")[1])
    assert (facts["rows"], facts["rows_are"]) == (12, "exact")

    table.delete("id = 11", mode="merge-on-read")

    [facts] = json.loads(lakeflow(capsys, "tables", "--json")[1])
    assert (facts["rows"], facts["rows_are"]) == (12, "at most")
    assert lakeflow(capsys, "tables")[1].splitlines()[1].split("\t")[1] == "at most 12"
    assert "rows          at most 12\n" in lakeflow(capsys, "describe", table.name)[1]
    assert json.loads(lakeflow(capsys, "scan", table.name, "--json")[1])["rows"] == 11


@pytest.mark.parametrize("missing", ["total-records", "total-delete-files", "total-files-size", "total-data-files"])
def test_manifests_tell_what_a_summary_leaves_out(
    table: lf.Table, numbers: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Its totals are optional in Iceberg: without one, what is there is counted, and nothing taken for none."""
    table.append(numbers(10, 10))
    table.delete("id = 11", mode="merge-on-read")
    expected = table.describe()
    snapshot = table.iceberg.current_snapshot()

    del snapshot.summary._additional_properties[missing]
    monkeypatch.setattr(table.iceberg, "current_snapshot", lambda: snapshot)

    assert table.describe() == expected


def test_an_empty_lake_says_so(embedded: lf.Lake, capsys: Any) -> None:
    """No table is no error; the remark goes to standard error."""
    del embedded
    code, out, err = lakeflow(capsys, "tables", "--json")

    assert (code, json.loads(out), err) == (0, [], "")
    assert "No tables yet" in lakeflow(capsys, "tables")[2]


def test_describe_shows_columns_and_snapshots(table: lf.Table, capsys: Any) -> None:
    """Columns with their types, layout, and each snapshot's rows."""
    _, out, _ = lakeflow(capsys, "describe", "kg.titles")
    facts = json.loads(lakeflow(capsys, "describe", "kg.titles", "--json")[1])

    assert all(word in out for word in ("id\tint64", "bucket(2, id)", str(table.snapshot.id)))
    assert facts["columns"][:1] == [{"name": "id", "type": "int64", "required": False}]
    assert [(table.snapshot.id, 3)] == [(each["id"], each["added_rows"]) for each in facts["snapshots"]]


@pytest.mark.parametrize("part", ["files", "manifests", "partitions", "snapshots", "history", "refs"])
def test_describe_shows_each_metadata_table(table: lf.Table, capsys: Any, part: str) -> None:
    """For people the columns that matter, with --json a line for each row with all of them."""
    expected = table.snapshots() if part == "snapshots" else getattr(table, part)().to_pylist()

    code, out, _ = lakeflow(capsys, "describe", table.name, f"--{part}")
    lines = lakeflow(capsys, "describe", table.name, f"--{part}", "--json")[1].splitlines()

    assert (0, len(expected) + 1, len(expected)) == (code, len(out.splitlines()), len(lines))
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_describe_an_older_snapshot_and_a_path(table: lf.Table, numbers: Any, capsys: Any) -> None:
    """`--snapshot` takes a tag; a table's folder does for its name."""
    table.tag("v1")
    table.append(numbers(3, 10))

    counts = [
        len(lakeflow(capsys, "describe", table.location, "--files", "--json", *options)[1].splitlines())
        for options in ((), ("--snapshot", "v1"), ("--snapshot", str(table.snapshot.id)))
    ]

    assert counts == [table.files().num_rows, table.files("v1").num_rows, table.files().num_rows]
    assert len(lakeflow(capsys, "head", table.location, "--json")[1].splitlines()) == 6


@pytest.mark.parametrize(
    "arguments",
    [("--snapshot", "v1"), ("--refs", "--snapshot", "v1"), ("--files", "--snapshot", "nope"), ("--nonsense",)],
)
def test_describe_what_can_not_be(table: lf.Table, capsys: Any, arguments: tuple[str, ...]) -> None:
    """The call must be changed."""
    assert lakeflow(capsys, "describe", table.name, *arguments)[0] == 2


@pytest.mark.parametrize(("options", "expected"), [((), 3), (("-n", "2"), 2), (("-n", "0"), 0)])
def test_head_shows_so_many_rows(table: lf.Table, capsys: Any, options: tuple[str, ...], expected: int) -> None:
    """As a table with a header, and as a line of JSON for each row."""
    _, out, _ = lakeflow(capsys, "head", table.name, *options)
    _, lines, _ = lakeflow(capsys, "head", table.name, "--json", *options)

    rows = [json.loads(line) for line in lines.splitlines()]
    assert (expected + 1, expected) == (len(out.splitlines()), len(rows))
    assert all(row["text"] == f"row {row['id']}" for row in rows)


def test_a_catalog_by_its_properties(table: lf.Table, capsys: Any) -> None:
    """`-p key=value` opens any catalog."""
    uri, warehouse = (table.iceberg.catalog.properties[name] for name in ("uri", "warehouse"))
    # The catalog's name is part of a SQL catalog's rows: another name sees none of them.
    code, out, _ = lakeflow(
        capsys, "-p", "type=sql", "-p", f"uri={uri}", "-p", f"warehouse={warehouse}", "tables", "--json"
    )

    assert (code, json.loads(out)) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["head", "kg.titels"], 2),
        (["head", "titles"], 2),
        (["describe", "no.where"], 2),
        (["tables", "nowhere"], 2),
        (["--catalog", "nope", "tables"], 2),
        (["-p", "uri", "tables"], 2),
        (["nonsense"], 2),
        (["head"], 2),
        (["head", "kg.titles", "-n", "-1"], 2),
        (["-p", "type=rest", "-p", "uri=http://127.0.0.1:9", "tables"], 1),
    ],
)
@pytest.mark.parametrize("debug", [None, "first", "last"])
def test_a_failure_has_its_code_and_one_message(
    table: lf.Table, capsys: Any, arguments: list[str], code: int, debug: str | None
) -> None:
    """2 where the call must be changed, 1 where something failed; a traceback only with --debug, wherever it stands."""
    del table
    usage = arguments in (["-p", "uri", "tables"], ["nonsense"], ["head"], ["head", "kg.titles", "-n", "-1"])
    given = {None: arguments, "first": ["--debug", *arguments], "last": [*arguments, "--debug"]}[debug]

    ended, out, err = lakeflow(capsys, *given)

    assert (code, "") == (ended, out)
    assert err
    assert ("Traceback" in err) == (debug is not None and not usage)


def test_a_hint_follows_the_message(table: lf.Table, capsys: Any) -> None:
    """What happened, then what to do."""
    del table
    _, _, err = lakeflow(capsys, "head", "kg.titels")

    first, second = err.splitlines()
    assert first.startswith("Error: No table 'kg.titels'")
    assert second == "Hint: did you mean kg.titles?"


def test_a_missing_data_file_is_code_1(table: lf.Table, capsys: Any) -> None:
    """Data that can't be read isn't the caller's mistake."""
    from pathlib import Path

    for piece in table.scan().pieces:
        Path(piece.path.removeprefix("file://")).unlink()

    code, _, err = lakeflow(capsys, "head", table.name)

    assert (code, "Traceback" in err) == (1, False)
    assert ".parquet does not exist" in err


def test_the_program_itself(table: lf.Table) -> None:
    """The installed entry point prints JSON and nothing else, in a process of its own."""
    command = [sys.executable, "-c", "from lakeflow.cli import main; main()", "head", table.name, "--json"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)

    assert (done.stderr, len(done.stdout.splitlines())) == ("", 3)


def test_a_reader_that_goes_away_is_no_traceback(table: lf.Table) -> None:
    """`lakeflow head ... | head -0` ends quietly."""
    command = f"{sys.executable} -c 'from lakeflow.cli import main; main()' head {table.name} --json | true"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=240, check=True)

    assert done.stderr == ""
