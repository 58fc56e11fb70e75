"""What writing snapshots relies on beneath pyiceberg's documentation; a release that changes it turns this red."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg import manifest
from pyiceberg.avro.file import AvroFile, Block
from pyiceberg.table import snapshots
from pyiceberg.table.update.snapshot import _SnapshotProducer

from lakeflow_io.iceberg.live import live_entries
from lakeflow_io.iceberg.snapshot_internals import spec_schema

if TYPE_CHECKING:
    import lakeflow as lf


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (
            _SnapshotProducer.__init__,
            ["self", "operation", "transaction", "io", "commit_uuid", "snapshot_properties", "branch"],
        ),
        (_SnapshotProducer._manifests, ["self"]),
        (_SnapshotProducer._summary, ["self", "snapshot_properties"]),
        (_SnapshotProducer._commit, ["self"]),
        (_SnapshotProducer._clean_all_uncommitted, ["self"]),
        (_SnapshotProducer.new_manifest_output, ["self"]),
        (manifest._inherit_from_manifest, ["entry", "manifest"]),
        (manifest.write_manifest,
         ["format_version", "spec", "schema", "output_file", "snapshot_id", "avro_compression"]),
        (manifest.ManifestWriterV2.__init__,
         ["self", "spec", "schema", "output_file", "snapshot_id", "avro_compression"]),
        (snapshots.update_snapshot_summaries, ["summary", "previous_summary"]),
        (snapshots.SnapshotSummaryCollector.add_file, ["self", "data_file", "schema", "partition_spec"]),
        (snapshots.SnapshotSummaryCollector.remove_file, ["self", "data_file", "schema", "partition_spec"]),
        (AvroFile._read_block, ["self"]),
        (Block, ["reader", "block_records", "block_decoder", "position"]),
    ],
)  # fmt: skip
def test_private_functions_take_what_we_pass(function: Any, parameters: list[str]) -> None:
    """Each private name is there and has the parameters that we use, in their order."""
    assert parameters == list(inspect.signature(function).parameters)[: len(parameters)]


def test_a_producer_is_as_we_extend_it() -> None:
    """Its methods that we replace are called by those that we keep."""
    source = inspect.getsource(_SnapshotProducer._commit)

    assert "self._manifests()" in source
    assert "self._summary(self.snapshot_properties)" in source
    assert {"_existing_manifests", "_deleted_entries"} == _SnapshotProducer.__abstractmethods__


def test_the_compiled_decoder_still_cuts_doubles(embedded: lf.Lake, namespace: str) -> None:
    """While pyiceberg's reads a double as a float, manifests with doubles among their partitions are read by another.

    Once this is red, `_ExactAvroFile` can go.
    """
    table = embedded.create_table(f"{namespace}.t", pa.schema([("d", pa.float64())]), partition_by=["d"])
    table.append({"d": [0.1]})
    manifests = table.iceberg.current_snapshot().manifests(table.iceberg.io)

    [theirs] = manifests[0].fetch_manifest_entry(table.iceberg.io)
    [ours] = live_entries(table.iceberg, table.iceberg.current_snapshot())

    assert theirs.data_file.partition[0] != 0.1
    assert ours.data_file.partition[0] == 0.1
    for name in ("file_path", "record_count", "lower_bounds", "split_offsets", "column_sizes"):
        assert getattr(ours.data_file, name) == getattr(theirs.data_file, name)
    assert (ours.sequence_number, ours.snapshot_id) == (theirs.sequence_number, theirs.snapshot_id)


def test_a_spec_finds_the_schema_that_has_its_columns(embedded: lf.Lake, namespace: str) -> None:
    """Also where the column is gone since: manifests of older specs can be written anew."""
    table = embedded.create_table(
        f"{namespace}.t", pa.schema([("a", pa.int32()), ("b", pa.int64())]), partition_by=["a"]
    )
    table.append({"a": pa.array([1, 2], pa.int32()), "b": [1, 2]})
    with table.iceberg.update_spec() as update:
        update.remove_field("a")
    with table.iceberg.update_schema() as update:
        update.delete_column("a")
    table.refresh()

    schema = spec_schema(table.iceberg.metadata, table.iceberg.specs()[0])
    table.delete("b = 1")

    assert schema.find_column_name(1) == "a"
    assert table.scan().read().to_pylist() == [{"b": 2}]
    assert table.iceberg.scan().to_arrow().to_pylist() == [{"b": 2}]
