"""Random deletes of all kinds in random commits: a scan finds the rows that a plain-Python model keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeflow.scan import read_shard

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("k", pa.int32()), ("text", pa.string()), ("p", pa.int64())])
NAMES = SCHEMA.names
PARTITIONED, GLOBAL = 0, 1  # specs: by p, and by nothing
FILTERS: list[tuple[str | None, Callable[[dict[str, Any]], bool]]] = [
    (None, lambda _: True),
    ("id < 12", lambda row: row["id"] < 12),
    ("id >= 9", lambda row: row["id"] >= 9),
    ("k = 1", lambda row: row["k"] == 1),
    ("k is null or text = 'a'", lambda row: row["k"] is None or row["text"] == "a"),
    ("p = 1 and id > 3", lambda row: row["p"] == 1 and row["id"] > 3),
]


@dataclass
class Model:
    """What was committed, by sequence number."""

    files: list[dict[str, Any]] = field(default_factory=list)
    deletes: list[dict[str, Any]] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """All rows that are left."""
        return [row for file in self.files for number, row in enumerate(file["rows"]) if self.keeps(file, number, row)]

    def keeps(self, file: dict[str, Any], number: int, row: dict[str, Any]) -> bool:
        """The rules of the specification, one row at a time."""
        of_file = [each for each in self.deletes if each["sequence"] >= file["sequence"]]
        vectors = [each for each in of_file if each["kind"] == "vector" and each["path"] == file["path"]]
        if any(number in each["rows"] for each in vectors):
            return False
        for each in of_file:
            same = each.get("where") == file["where"]
            if each["kind"] == "position" and not vectors and same and (file["path"], number) in each["rows"]:
                return False
            reaches = same or each.get("where") == (GLOBAL,)
            older = each["sequence"] > file["sequence"]
            if (
                each["kind"] == "equality"
                and reaches
                and older
                and tuple(row[n] for n in each["names"]) in each["keys"]
            ):
                return False
        return True


def where_of(spec_id: int, partition: int) -> tuple[int, ...]:
    """A spec and its partition's values."""
    return (spec_id, partition) if spec_id == PARTITIONED else (spec_id,)


@st.composite
def contents(draw: st.DrawFn) -> tuple[list[Any], list[Any], int]:
    """Data files, deletes that refer to them by number, and how many commits they are spread over."""
    files = []
    for _ in range(draw(st.integers(1, 4))):
        partition = draw(st.integers(0, 1))
        row = st.tuples(st.integers(0, 19), st.sampled_from([0, 1, None]), st.sampled_from(["a", "b", None]))
        rows = draw(st.lists(row, min_size=1, max_size=14))
        rows = sorted(rows, key=repr) if draw(st.booleans()) else rows
        files.append(
            (draw(st.sampled_from([PARTITIONED, GLOBAL])), partition,
             [dict(zip(NAMES, (*each, partition), strict=True)) for each in rows])
        )  # fmt: skip
    numbers = st.integers(0, len(files) - 1)
    deletes: list[Any] = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["equality", "equality", "position", "vector"]))
        if kind == "position":
            hits = draw(st.lists(st.tuples(numbers, st.integers(0, 15)), min_size=1, max_size=12))
            target = files[hits[0][0]]
            deletes.append((kind, target[0], target[1], hits, draw(st.booleans())))
        elif kind == "equality":
            names = draw(st.sampled_from([["id"], ["id"], ["k"], ["text", "id"]]))
            pool = [tuple(row[name] for name in names) for _, _, rows in files for row in rows]
            keys = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
            deletes.append((kind, draw(st.sampled_from([PARTITIONED, GLOBAL])), draw(st.integers(0, 1)), names, keys))
        else:
            taken = {each[3] for each in deletes if each[0] == "vector"}
            number = draw(numbers)
            if number not in taken:
                rows = draw(st.lists(st.integers(0, 15), min_size=1, max_size=10, unique=True))
                deletes.append((kind, files[number][0], files[number][1], number, rows))
    return files, deletes, draw(st.integers(1, 6))


def commit_all(table: Any, made: Any, data: st.DataObject) -> Model:
    """Write everything, in an order and in commits that are drawn."""
    files, deletes, commits = made
    model, entries = Model(), list[tuple[Any, dict[str, Any]]]()
    for spec_id, partition, rows in files:
        where = where_of(spec_id, partition)
        written = table.data(pa.Table.from_pylist(rows, SCHEMA), where[1:], spec_id)
        entries.append((written, {"kind": "data", "path": written.file_path, "where": where, "rows": rows}))
    paths = [written.file_path for written, _ in entries]
    for kind, spec_id, partition, target, what in deletes:
        where = where_of(spec_id, partition)
        if kind == "position":
            hits = [(paths[number], row) for number, row in target]
            hits = sorted(hits) if what else hits
            written = table.positions(hits, where[1:], bounds=what, spec_id=spec_id)
            told = {"rows": set(hits)}
            if what and len({path for path, _ in hits}) == 1:
                # The bounds name the data file: it is that file's, wherever it is filed.
                told["where"] = next(each["where"] for _, each in entries if each.get("path") == hits[0][0])
        elif kind == "equality":
            columns = {name: [key[i] for key in what] for i, name in enumerate(target)}
            written = table.keys(columns, partition=where[1:], spec_id=spec_id)
            told = {"names": target, "keys": set(what)}
        else:
            (written,) = table.vectors({paths[target]: what}, where[1:])
            written.spec_id = spec_id
            told = {"path": paths[target], "rows": set(what)}
        entries.append((written, {"kind": kind, "where": where, **told}))
    order = data.draw(st.permutations(range(len(entries))))
    places = data.draw(st.lists(st.integers(0, commits - 1), min_size=len(order), max_size=len(order)))
    for commit in range(commits):
        chosen = [entries[entry] for entry, place in zip(order, places, strict=True) if place == commit]
        if chosen:
            sequence = table.commit(*(written for written, _ in chosen))
            for _, told in chosen:
                told["sequence"] = sequence
                (model.files if told["kind"] == "data" else model.deletes).append(told)
    return model


def ordered(rows: list[dict[str, Any]], columns: list[str]) -> list[tuple[Any, ...]]:
    """Some columns of rows, in an order of their own."""
    return sorted((tuple(row[name] for name in columns) for row in rows), key=repr)


@settings(max_examples=60)
@given(contents(), st.sampled_from(FILTERS), st.lists(st.sampled_from(NAMES), min_size=1, unique=True), st.data())
def test_a_scan_finds_what_a_model_keeps(
    deleted_table: Callable[..., Any], made: Any, chosen: Any, columns: list[str], data: st.DataObject
) -> None:
    """Whole, filtered, with some columns, in shards: the same rows, whatever deletes came in whatever order."""
    table = deleted_table(SCHEMA, version=3, row_group=4, partition_by=["p"])
    with table.iceberg.update_spec() as update:
        update.remove_field("p")
    table.table.refresh()
    model = commit_all(table, made, data)
    left = model.rows()
    where, passes = chosen

    whole = table.table.scan().read().to_arrow()
    narrowed = table.table.scan(columns=columns, where=where)
    found = narrowed.read().to_arrow()
    shards = [read_shard(shard) for shard in narrowed.shards(n=data.draw(st.integers(1, 6)))]
    pieces = [row for shard in shards for row in shard.to_pylist()]

    wanted = ordered([row for row in left if passes(row)], columns)
    assert ordered(whole.to_pylist(), NAMES) == ordered(left, NAMES)
    assert found.column_names == columns
    assert ordered(found.to_pylist(), columns) == wanted
    assert ordered(pieces, columns) == wanted
    report = narrowed.report()
    assert report.rows == len(wanted)
    if where is None:
        assert report.deletes_applied == sum(len(file["rows"]) for file in model.files) - len(left)
