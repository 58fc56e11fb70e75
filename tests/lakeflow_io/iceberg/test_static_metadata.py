"""Metadata files that aren't what they should be: refused by name, never half understood."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.table.metadata import TableMetadataUtil

import lakeflow as lf
from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.iceberg.static.parse import parse_metadata
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = pa.schema([("id", pa.int64()), ("c", pa.string()), ("s", pa.struct([("x", pa.int32())]))])


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """Three rows in buckets."""
    made = embedded.create_table(f"{namespace}.t", SCHEMA, partition_by=["bucket(4, id)"])
    made.append(
        [{"id": 1, "c": "a", "s": {"x": 1}}, {"id": 2, "c": "b", "s": None}, {"id": 3, "c": None, "s": {"x": None}}]
    )
    return made


@pytest.fixture
def edited(table: lf.Table) -> Callable[[Any], Path]:
    """A copy of the newest metadata file, changed by a function."""
    location = Path(table.iceberg.metadata_location.removeprefix("file://"))

    def edit(change: Any) -> Path:
        found = json.loads(location.read_text())
        change(found)
        file = location.with_name("v99.metadata.json")
        file.write_text(json.dumps(found))
        return file

    return edit


def put(*path: Any, value: Any) -> Any:
    """A function that sets one value deep inside."""

    def change(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = value

    return change


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (put("format-version", value=4), "format version 4"),
        (put("format-version", value="2"), "format version '2'"),
        (put("format-version", value=None), "format version None"),
        (put("encryption-keys", value=[{"key-id": "a"}]), "encrypted"),
        (put("properties", "encryption.key-id", value="a"), "encrypted"),
        (put("snapshots", 0, "key-id", value="a"), "encrypted"),
        (put("schemas", 0, "fields", 1, "type", value="variant"), "'c' .* 'variant'"),
        (put("schemas", 0, "fields", 1, "type", value="geometry(srid:4326)"), "geometry"),
        (put("schemas", 0, "fields", 2, "type", "fields", 0, "type", value="hyperlog"), r"'s\.x' .* 'hyperlog'"),
        (lambda found: found["snapshots"][0].pop("manifest-list"), "lists its manifests itself"),
    ],
)  # fmt: skip
def test_what_needs_a_reader_that_knows_more_is_named(edited: Any, change: Any, named: str) -> None:
    """Format versions, encryption and types to come."""
    with pytest.raises(UnsupportedError, match=named):
        lf.open_table(edited(change))


def test_a_catalog_refuses_a_format_version_to_come(embedded: lf.Lake, namespace: str, edited: Any) -> None:
    """Whether it is met in a metadata file or in what a catalog answers."""
    file = edited(lambda _: None)
    embedded.catalog.register_table(f"{namespace}.later", f"file://{file}")
    edited(put("format-version", value=4))

    with pytest.raises(UnsupportedError, match="format version 4"):
        embedded.table(f"{namespace}.later")
    with pytest.raises(UnsupportedError, match="format version"), translated("load it"):
        TableMetadataUtil.parse_raw(file.read_text())


@pytest.mark.parametrize(
    "change",
    [
        put("current-schema-id", value=7), put("schemas", value=[]), put("schemas", value=3),
        put("schemas", 0, "fields", 1, "id", value=1), put("schemas", 0, "fields", 1, "name", value="id"),
        put("schemas", 0, "fields", 2, "type", "fields", 0, "id", value=2),
        lambda found: found["schemas"].append(found["schemas"][0]),
        put("refs", "x", value={"snapshot-id": 5, "type": "branch"}), put("current-snapshot-id", value=5),
        put("snapshots", value=3), put("snapshots", value=[]), put("properties", value=None),
        put("default-spec-id", value=9), put("partition-specs", value="none"), put("snapshots", 0, value={"a": 1}),
        lambda found: found.clear(), lambda found: found.pop("location"), put("last-updated-ms", value="soon"),
    ],
)  # fmt: skip
def test_metadata_that_contradicts_itself_is_damage(edited: Any, change: Any) -> None:
    """No row is read, and no exception of a library beneath is seen."""
    with pytest.raises((CorruptFileError, UnsupportedError)) as caught:
        ids(lf.open_table(edited(change)).scan())

    assert "v99.metadata.json" in str(caught.value)


@given(data=st.data())
def test_any_damage_to_the_bytes_is_ours_or_harmless(data: Any) -> None:
    """Cut, flipped or compressed and cut: an error of our tree, or the metadata all the same."""
    raw = (Path(__file__).parent / "fixtures" / "v2.metadata.json").read_bytes()
    raw = gzip.compress(raw, mtime=0) if data.draw(st.booleans()) else raw
    end = data.draw(st.integers(0, len(raw)))
    flipped = bytearray(raw[:end])
    for at in data.draw(st.lists(st.integers(0, max(0, end - 1)), max_size=2)) if end else []:
        flipped[at] ^= 1 << data.draw(st.integers(0, 7))

    with suppress(CorruptFileError, UnsupportedError):
        assert parse_metadata("f.metadata.json", bytes(flipped)).format_version in (1, 2, 3)


@pytest.mark.parametrize(
    ("transform", "more"),
    [
        ("zorder[3]", {}), ("bucketv2[4]", {}), ("truncate", {}), ("bucket[4]", {"source-ids": [1, 2]}),
        ("void", {}), ("bucket[4]", {"source-ids": [1]}),
    ],
)  # fmt: skip
def test_a_transform_that_nobody_knows_prunes_nothing(edited: Any, transform: str, more: dict[str, Any]) -> None:
    """One that looks like a known one, one of several columns: all rows are found, with any filter."""

    def change(found: Any) -> None:
        [part] = found["partition-specs"][0]["fields"]
        part.update({"transform": transform, **more})
        if more:
            part.pop("source-id")

    table = lf.open_table(edited(change))

    assert [1, 2, 3] == ids(table.scan()) == ids(table.changes())
    for wanted in (1, 2, 3):
        assert [wanted] == ids(table.scan(where=f"id = {wanted}")) == ids(table.changes(where=f"id = {wanted}"))
    assert (sum(table.partitions()["rows"].to_pylist()), table.files().num_rows) == (3, 2)
    assert table.manifests().num_rows == 1
    assert len(table.scan().shards(by="partition")) in (1, 2)


def test_a_partition_of_a_column_that_is_gone(edited: Any) -> None:
    """An old spec speaks of a column that no schema has any more."""
    table = lf.open_table(edited(put("partition-specs", 0, "fields", 0, "source-id", value=99)))

    assert (ids(table.scan()), ids(table.scan(where="id = 2"))) == ([1, 2, 3], [2])


DEFAULTS: dict[str, tuple[Any, Any, Any]] = {
    "required": ("int", 7, 7), "day": ("date", "2020-01-02", date(2020, 1, 2)), "flag": ("boolean", False, False),
    "price": ("decimal(5, 2)", "1.50", Decimal("1.50")), "raw": ("binary", "0001ff", b"\x00\x01\xff"),
    "key": ("uuid", "f79c3e09-677c-4bbd-a479-3f349cb785e7", UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7")),
    "at": ("timestamptz", "2020-01-02T03:04:05.123456+00:00", datetime(2020, 1, 2, 3, 4, 5, 123456, UTC)),
    "two": ("fixed[2]", "00ff", b"\x00\xff"), "clock": ("time", "01:02:03.000004", time(1, 2, 3, 4)),
    "word": ("string", "hi", "hi"), "half": ("double", 0.5, 0.5), "none": ("unknown", None, None),
}  # fmt: skip


def with_defaults(found: Any) -> None:
    """Format version 3, and a column with a default of each type, and a field of a struct."""
    found |= {"format-version": 3, "next-row-id": 0}
    fields = found["schemas"][0]["fields"]
    for number, (name, (kind, default, _)) in enumerate(DEFAULTS.items(), 50):
        field = {"id": number, "name": name, "required": name == "required", "type": kind}
        fields.append(field if default is None else {**field, "initial-default": default, "write-default": default})
    inner = {"id": 90, "name": "y", "required": False, "type": "long", "initial-default": 5}
    next(field for field in fields if field["name"] == "s")["type"]["fields"].append(inner)


def test_defaults_fill_what_old_files_lack(edited: Any) -> None:
    """Each type; within a struct too, where a null struct stays null."""
    found = lf.open_table(edited(with_defaults)).scan().read().to_arrow().sort_by("id").to_pylist()

    assert [{name: row[name] for name in DEFAULTS} for row in found] == [
        {name: value for name, (_, _, value) in DEFAULTS.items()}
    ] * 3
    assert [row["s"] for row in found] == [{"x": 1, "y": 5}, None, {"x": None, "y": 5}]


@pytest.mark.parametrize("where", ["required = 7", "day = '2020-01-02'", "flag = false", "word = 'hi'", "half < 1"])
def test_a_filter_sees_defaults(edited: Any, where: str) -> None:
    """A file that lacks the column isn't left out; one whose default doesn't match has no row."""
    table = lf.open_table(edited(with_defaults))

    assert ids(table.scan(where=where)) == [1, 2, 3]
    assert ids(table.scan(where=f"not ({where})")) == []


def test_a_default_in_nanoseconds_is_refused(edited: Any) -> None:
    """Pyiceberg doesn't decode it: named, rather than read as null."""

    def change(found: Any) -> None:
        found |= {"format-version": 3, "next-row-id": 0}
        field = {"id": 50, "name": "tn", "required": False, "type": "timestamp_ns"}
        found["schemas"][0]["fields"].append({**field, "initial-default": "2020-01-02T03:04:05.123456789"})

    with pytest.raises(UnsupportedError, match="'tn'"):
        lf.open_table(edited(change))
