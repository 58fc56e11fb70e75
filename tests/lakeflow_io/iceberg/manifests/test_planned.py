"""Plans are sequences of pieces over columns: pyiceberg's plan, in the order of paths, small, and remembered."""

from __future__ import annotations

import datetime as dt
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table import DataScan
from pyiceberg.typedef import Record

from lakeflow_io.errors import CorruptFileError, UnsupportedError
from lakeflow_io.iceberg.expected import leaf_ids
from lakeflow_io.iceberg.manifests import fetch, remembered
from lakeflow_io.iceberg.manifests.entries import Extras
from lakeflow_io.iceberg.manifests.planned import PlannedPieces
from lakeflow_io.iceberg.plan import Piece, plan_pieces
from lakeflow_io.storage import MemoryTransport, immutable
from lakeflow_io.storage.immutable import ImmutableCache

if TYPE_CHECKING:
    import lakeflow as lf

DAY = dt.datetime(2020, 1, 1)  # noqa: DTZ001  (a timestamp without zone)
ROWS = pa.table(
    {
        "id": range(30),
        "s": ["ab"[i % 2] if i % 5 else None for i in range(30)],
        "x": [float(i) if i % 4 else float("nan") for i in range(30)],
        "ts": [DAY + dt.timedelta(days=i % 4) for i in range(30)],
        "ok": [i % 2 == 0 for i in range(30)],
    }
)
WHERE = [
    None, "id > 15", "s = 'a'", "s is null", "ts >= '2020-01-03T00:00:00'", "x > 3 and s in ('a', 'c')",
    "id in (3, 25)", "s like 'a%'", "ok = true", "id = 3 or s = 'b'",
]  # fmt: skip


@pytest.fixture
def table(embedded: lf.Lake, namespace: str) -> lf.Table:
    """Three appends to partitions by text and day."""
    made = embedded.create_table(f"{namespace}.t", ROWS.schema, partition_by=["s", "day(ts)"])
    for start in (0, 10, 20):
        made.append(ROWS.slice(start, 10))
    return made


def expected_chunks(file: DataFile, order: list[int], wanted: set[int]) -> tuple[tuple[int, int, int], ...]:
    """Where the wanted columns of a file of one row group lie: one chunk behind the other, in the schema's order."""
    splits, sizes = file.split_offsets or (), file.column_sizes or {}
    if len(splits) != 1:
        return ()
    found, start = [], splits[0]
    for field_id in order:
        size = sizes.get(field_id, 0)
        if size > 0 and field_id in wanted:
            found.append((field_id, start, size))
        start += size
    return tuple(found) if start < file.file_size_in_bytes else ()


def by_pyiceberg(table: Any, spec: Any) -> list[Piece]:
    """What pyiceberg's planner finds, as pieces."""
    scan = DataScan(table.metadata, table.io, spec.filter, snapshot_id=spec.snapshot_id)
    if spec.filter is None:
        scan = DataScan(table.metadata, table.io, snapshot_id=spec.snapshot_id)
    order, wanted = list(leaf_ids(table.schema().fields)), set(leaf_ids(spec.filter_columns.fields))
    pieces = []
    for task in scan.plan_files():
        file, layout = task.file, table.specs()[task.file.spec_id]
        values = [file.partition[i] for i in range(len(layout.fields))]
        pieces.append(
            Piece(
                path=file.file_path, file_size=file.file_size_in_bytes, start=0, end=file.file_size_in_bytes,
                rows=file.record_count, partition=layout.partition_to_path(file.partition, table.schema()),
                partition_key=f"{file.spec_id}:{values!r}", splits=tuple(sorted(file.split_offsets or ())),
                constants=tuple(
                    (part.source_id, value)
                    for part, value in zip(layout.fields, values, strict=True)
                    if str(part.transform) == "identity"
                ),
                chunks=expected_chunks(file, order, wanted) if len(wanted) < spec.width else (),
            )
        )  # fmt: skip
    return sorted(pieces, key=lambda piece: piece.path)


@pytest.mark.parametrize("columns", [None, ["id"], ["x", "s"]])
@pytest.mark.parametrize("where", WHERE)
def test_pieces_are_what_pyiceberg_plans(table: lf.Table, where: str | None, columns: list[str] | None) -> None:
    """The same files, with the same rows, partitions, constants, splits and guesses of chunks."""
    spec = table.scan(where=where, columns=columns)._spec

    pieces = plan_pieces(table.iceberg, spec)

    assert list(pieces) == by_pyiceberg(table.iceberg, spec)


def test_an_evolved_spec_is_planned_by_each_manifests_own(table: lf.Table) -> None:
    """Files of the former spec keep their partitions."""
    with table.iceberg.update_spec() as update:
        update.remove_field("s")
        update.add_field("id", "bucket[4]", "id_bucket")
    table.refresh()
    table.append(ROWS.slice(0, 8))

    for where in (None, "id = 3", "s = 'a'"):
        spec = table.scan(where=where)._spec
        assert list(plan_pieces(table.iceberg, spec)) == by_pyiceberg(table.iceberg, spec)


def test_a_plan_is_a_sequence(table: lf.Table) -> None:
    """Indices, negative ones, slices, iteration, equality and pickles are a list's."""
    pieces = table.scan().pieces
    plain = list(pieces)

    assert isinstance(pieces, PlannedPieces)
    assert len(pieces) == len(plain) > 12
    assert [pieces[i] for i in range(-len(plain), len(plain))] == plain + plain
    assert list(pieces[3:-2:2]) == plain[3:-2:2]
    assert list(pieces[5:][1:4]) == plain[6:9]
    assert pieces == plain
    assert pieces != plain[1:]
    assert [piece.path for piece in plain] == sorted(piece.path for piece in plain)
    assert pickle.loads(pickle.dumps(pieces)) == plain
    with pytest.raises(IndexError):
        pieces[len(plain)]


def test_each_file_is_told_with_what_deletes_go_by(table: lf.Table) -> None:
    """Sequence numbers are the snapshots' that added them; partitions are tuples."""
    pieces = table.scan().pieces
    assert isinstance(pieces, PlannedPieces)

    entries = list(pieces.files())

    assert [each.path for each in entries] == [piece.path for piece in pieces]
    assert {each.sequence for each in entries} == {1, 2, 3}
    assert {each.spec_id for each in entries} == {0}
    assert {each.partition[0] for each in entries} == {"a", "b", None}


def test_a_plan_takes_little_memory(made_table: Any) -> None:
    """Less than a kilobyte a file, by far: its columns, and nothing else for each."""
    made = made_table({0: PartitionSpec()})
    for number in range(800):
        path = f"s3://bucket/warehouse/lake/table/data/region=region-03/day=2020-01-01/{number:032x}-00001.parquet"
        file = DataFile.from_args(
            content=DataFileContent.DATA, file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
            record_count=1, file_size_in_bytes=1, split_offsets=[4],
        )  # fmt: skip
        made.add_entry(0, file)

    pieces = made.plan().pieces

    assert len(pieces) == 800
    assert pieces.nbytes / len(pieces) < 300


def test_delete_files_are_handed_out(made_table: Any) -> None:
    """With what tells to which data files they apply; they are no pieces."""
    made = made_table({0: PartitionSpec()})
    for path, content, ids in (("data", 0, None), ("positions", 1, None), ("values", 2, [3, 1])):
        file = DataFile.from_args(
            content=DataFileContent(content), file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
            record_count=7, file_size_in_bytes=9, equality_ids=ids,
        )  # fmt: skip
        made.add_entry(0, file)

    plan = made.plan()

    assert [piece.path for piece in plan.pieces] == ["data"]
    found = {each.path: each for each in plan.deletes}
    assert {path: (each.content, each.equality_ids) for path, each in found.items()} == {
        "positions": (1, ()),
        "values": (2, (3, 1)),
    }
    assert {(each.sequence, each.rows, each.size, each.format) for each in plan.deletes} == {(9, 7, 9, "PARQUET")}


def test_a_manifest_of_an_unknown_spec_is_damage(made_table: Any) -> None:
    """Its partitions can't be told."""
    made = made_table({3: PartitionSpec(spec_id=3)})
    made.add(3, [dict.fromkeys(field.name for field in made.schema.fields)])
    made.uri = made.commit()
    made.specs = {0: PartitionSpec()}

    with pytest.raises(CorruptFileError, match=r"manifest-3\.avro has a partition spec 3"):
        made.plan()


def test_another_format_is_refused_by_name(made_table: Any) -> None:
    """The file and its format are told."""
    made = made_table({0: PartitionSpec()})
    file = DataFile.from_args(
        content=DataFileContent.DATA, file_path="s3://b/x.puffin", file_format=FileFormat.PUFFIN, partition=Record(),
        record_count=7, file_size_in_bytes=9,
    )  # fmt: skip
    made.add_entry(0, file)

    with pytest.raises(UnsupportedError, match=r"t@5: s3://b/x\.puffin is PUFFIN"):
        made.plan()


@pytest.fixture
def far(made_table: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Any, MemoryTransport]:
    """A table of two files in a store that may be remembered of, and the store, which counts requests."""
    made = made_table(
        {0: PartitionSpec()}, folder="s3://bucket/made", store={"lakeflow.metadata-cache.folder": str(tmp_path)}
    )
    made.io.transport = MemoryTransport()
    for path in ("a", "b"):
        file = DataFile.from_args(
            content=DataFileContent.DATA, file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
            record_count=7, file_size_in_bytes=9,
        )  # fmt: skip
        made.add_entry(0, file)
    made.uri = made.commit()
    made.io.transport.requests.clear()
    monkeypatch.setattr(fetch, "open_transport", lambda _: made.io.transport)
    monkeypatch.setattr(remembered, "decoded", remembered.Remembered())
    return made, made.io.transport


def test_manifests_are_fetched_once(far: tuple[Any, MemoryTransport], monkeypatch: pytest.MonkeyPatch) -> None:
    """One request for each, none for the second plan, and none in another process that has the cache's file."""
    made, transport = far
    first = list(made.plan().pieces)
    counted = dict(transport.requests)

    again = list(made.plan().pieces)
    monkeypatch.setattr(remembered, "decoded", remembered.Remembered())  # as in another process
    elsewhere = list(made.plan().pieces)

    assert counted == {"get": 2}
    assert transport.requests == counted
    assert [piece.path for piece in first] == ["a", "b"]
    assert first == again == elsewhere


def test_what_is_damaged_is_not_remembered(far: tuple[Any, MemoryTransport]) -> None:
    """Once the file is restored, it is read."""
    made, transport = far
    uri = "s3://bucket/made/manifest-0.avro"
    whole = transport.objects[uri]
    transport.objects[uri] = whole[:-30] + bytes(30)

    with pytest.raises(CorruptFileError, match="manifest-0"):
        made.plan()
    transport.objects[uri] = whole

    assert len(made.plan().pieces) == 2


def test_a_manifest_that_ends_early_is_damage(far: tuple[Any, MemoryTransport]) -> None:
    """Behind its header it would be whole, and have no files: the manifest list knows how long it is."""
    made, transport = far
    whole = transport.objects["s3://bucket/made/manifest-0.avro"]
    transport.objects["s3://bucket/made/manifest-0.avro"] = whole[: whole.index(whole[-16:]) + 16]

    with pytest.raises(CorruptFileError, match=f"manifest-0.* bytes rather than {len(whole)}"):
        made.plan()


def test_a_local_manifest_that_is_written_anew_is_read_anew(table: lf.Table) -> None:
    """What is remembered of it goes with its time: damage that comes later shows."""
    assert len(table.scan().pieces) > 0
    manifest = next(
        Path(path.removeprefix("file://"))
        for path in (each.manifest_path for each in table.iceberg.current_snapshot().manifests(table.iceberg.io))
    )
    data = manifest.read_bytes()
    manifest.write_bytes(data[:-40] + bytes(40))
    os.utime(manifest, ns=(1, 1))

    with pytest.raises(CorruptFileError, match=manifest.name):
        len(table.scan().pieces)


def test_the_decoded_are_kept_within_a_limit() -> None:
    """Of what doesn't fit beside the newest, that goes which was used longest ago."""
    found, extras = remembered.Remembered(limit=100), Extras()
    first, second, third = (SimpleNamespace(nbytes=size) for size in (40, 60, 50))
    found.keep(b"first", extras, first)
    found.keep(b"second", extras, second)
    assert found.recall(b"first", extras) is first

    found.keep(b"third", extras, third)

    assert [found.recall(key, extras) for key in (b"first", b"second", b"third")] == [first, None, third]
    assert found._bytes == 90


def test_a_plan_needs_no_memory_of_others(far: tuple[Any, MemoryTransport], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing fits within the limit, plans are the same, and nothing is held."""
    made, _ = far
    found = remembered.Remembered(limit=0)
    monkeypatch.setattr(remembered, "decoded", found)

    assert [piece.path for piece in made.plan().pieces] == ["a", "b"]
    assert found._bytes == len(found._kept) == 0


def test_what_is_remembered_wrongly_is_fetched_again(
    embedded: lf.Lake, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes under a manifest's name that aren't its own are forgotten, and stand in nobody's way."""
    monkeypatch.setattr(immutable, "_NEAR", ())
    table = embedded.create_table(f"{namespace}.t", ROWS.schema)
    table.append(ROWS)
    snapshot = table.iceberg.current_snapshot()
    right = plan_pieces(table.iceberg, table.scan()._spec)
    [manifest] = snapshot.manifests(table.iceberg.io)
    monkeypatch.setattr(remembered, "decoded", remembered.Remembered())
    cache = ImmutableCache("manifest", table.scan()._spec.store, in_memory=False)
    cache.keep(manifest.manifest_path, manifest.manifest_length, b"no manifest")
    cache.save()

    assert plan_pieces(table.iceberg, table.scan()._spec) == right
    assert cache.find([(manifest.manifest_path, manifest.manifest_length)]) != [b"no manifest"]


def test_a_partition_that_is_no_text_is_damage(embedded: lf.Lake, namespace: str) -> None:
    """Said with the manifest's name when it is read, and not by whoever looks at a piece."""
    plain = {"write.avro.compression-codec": "null"}
    table = embedded.create_table(f"{namespace}.t", ROWS.schema, partition_by=["s"], properties=plain)
    table.append(ROWS.set_column(1, "s", [["qq"] * 30]))
    [manifest] = table.iceberg.current_snapshot().manifests(table.iceberg.io)
    path = Path(manifest.manifest_path.removeprefix("file://"))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\x02\x04qq", b"\x02\x04\xff\xff", 1))
    assert path.read_bytes() != whole

    with pytest.raises(CorruptFileError, match="partition of an entry is no text"):
        list(table.scan().pieces)
