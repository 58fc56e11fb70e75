"""What lakeflow says of its files in manifests, as Spark shows it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
from readers.spark import metadata_table


def test_written_statistics(written, spark):
    """Counts, nulls and bounds are what Spark would have counted; split offsets are the row groups'."""
    data = pa.table({"id": [3, 1, 2], "x": [float("nan"), 2.5, None], "s": ["b", None, "a"], "l": [[1, 2], [], None]})
    table = written(data, properties={"write.parquet.row-group-limit": "2"})

    file = metadata_table(spark, table.iceberg.metadata_location, "files").collect()[0]

    metrics = file.readable_metrics
    assert (metrics.id.value_count, metrics.id.null_value_count, metrics.id.lower_bound, metrics.id.upper_bound) == (
        3,
        0,
        1,
        3,
    )
    assert (metrics.x.value_count, metrics.x.null_value_count) == (3, 1)
    assert (metrics.x.lower_bound, metrics.x.upper_bound) == (2.5, 2.5)
    assert (metrics.s.null_value_count, metrics.s.lower_bound, metrics.s.upper_bound) == (1, "a", "b")
    read = pq.ParquetFile(file.file_path.removeprefix("file://")).metadata
    columns = [read.row_group(i).column(0) for i in range(read.num_row_groups)]
    assert file.split_offsets == [each.dictionary_page_offset or each.data_page_offset for each in columns]
    assert (file.record_count, read.num_row_groups) == (3, 2)


def test_written_counts_of_nan(written, spark):
    """How many values are NaN is in the manifest, so that `is nan` can be pruned by it."""
    table = written(pa.table({"x": [float("nan"), 2.5, None]}))

    file = metadata_table(spark, table.iceberg.metadata_location, "files").collect()[0]

    assert file.nan_value_counts == {1: 1}


def test_written_texts_below_the_surrogates(written, spark):
    """A text of which the last letter before the cut has no next one that can be written."""
    table = written(pa.table({"s": [chr(0xD7FF) * 20, "a"]}))

    assert spark.read.format("iceberg").load(table.iceberg.metadata_location).where("s > 'b'").count() == 1


def test_written_statistics_of_many_columns(written, spark):
    """Every column of a wide table has its counts."""
    data = pa.table({f"c{number}": [1, None] for number in range(120)})
    table = written(data)

    file = metadata_table(spark, table.iceberg.metadata_location, "files").collect()[0]

    assert len(file.value_counts) == len(file.null_value_counts) == 120
