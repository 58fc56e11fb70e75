"""Tables opened without a catalog, wherever they lie by now."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow.scan import read_shard
from lakeflow_io.errors import ConfigError, InputError, NotFoundError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


@pytest.fixture
def table(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Two appends of ten rows, in local files."""
    made = embedded.create_table(f"{namespace}.t", numbers(1).schema, partition_by=["bucket(2, id)"])
    made.append(numbers(10))
    made.append(numbers(10, 10))
    return made


def ids(scan: lf.Scan) -> list[int]:
    """Sorted."""
    return sorted(scan.read().to_arrow()["id"].to_pylist())


def folder(table: lf.Table) -> Path:
    """Where its files are."""
    return Path(table.location.removeprefix("file://"))


def metadata(table: lf.Table) -> dict[str, Any]:
    """What its newest metadata file says."""
    found: dict[str, Any] = json.loads(Path(table.iceberg.metadata_location.removeprefix("file://")).read_text())
    return found


def rewrite(value: Any, old: str, new: str) -> Any:
    """The same with `old` replaced in all texts."""
    return json.loads(json.dumps(value).replace(old, new))


def test_a_metadata_file_or_a_folder_opens_a_table(table: lf.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """By URI, by path, absolute or relative, and by the folder of metadata."""
    monkeypatch.chdir(folder(table).parent)
    file = table.iceberg.metadata_location

    for path in (file, file.removeprefix("file://"), table.location, folder(table), "t", f"{table.location}/metadata/"):
        opened = lf.open_table(path)
        assert list(range(20)) == ids(opened.scan())
        assert (table.schema, table.snapshot) == (opened.schema, opened.snapshot)


def test_everything_that_reads_works(table: lf.Table) -> None:
    """Filters, shards in other processes, time travel, changes, metadata tables."""
    opened, first = lf.open_table(table.location), table.snapshots()[0]

    assert ids(opened.scan(where="id = 7")) == [7]
    shards = pickle.loads(pickle.dumps(opened.scan().shards(n=3)))
    assert list(range(20)) == sorted(each for shard in shards for each in read_shard(shard)["id"].to_pylist())
    assert (list(range(10)), list(range(10, 20))) == (
        ids(opened.scan(snapshot=first.committed)),
        ids(opened.changes(since=first.id)),
    )
    assert opened.files().num_rows == table.files().num_rows


def test_a_folder_is_looked_at_again_and_a_file_is_not(table: lf.Table, numbers: Any) -> None:
    """`refresh` finds what was committed since, where a folder was opened."""
    moving, fixed = lf.open_table(table.location), lf.open_table(table.iceberg.metadata_location)
    table.append(numbers(10, 20))

    assert list(range(20)) == ids(moving.scan())
    assert (list(range(30)), list(range(20))) == (ids(moving.refresh().scan()), ids(fixed.refresh().scan()))


def test_nothing_is_written(table: lf.Table, numbers: Any) -> None:
    """Every change is refused before anything is put."""
    opened = lf.open_table(table.location)
    before = sorted(folder(table).rglob("*"))

    def schema() -> None:
        with opened.update_schema() as change:
            change.drop("text")

    for write in (
        lambda: opened.append(numbers(1)), lambda: opened.branch("audit"), lambda: opened.tag("v1"), schema,
        lambda: opened.update_partitions(add="text"), lambda: opened.set_properties({"a": "b"}),
        lambda: lf.foreach(table.scan().shards(n=1), lambda rows: rows, into=opened),
    ):  # fmt: skip
        with pytest.raises(InputError, match="read-only"):
            write()
    assert before == sorted(folder(table).rglob("*"))
    with pytest.raises(InputError, match="read-only"):
        opened.iceberg.delete("id = 1")  # pyiceberg's own


@pytest.mark.parametrize("name", ["v7.metadata.json", "v7.gz.metadata.json", "v7.metadata.json.gz"])
@pytest.mark.parametrize("hint", [None, "7", "6", "v7"])
def test_hadoop_tables_and_compressed_metadata(table: lf.Table, name: str, hint: str | None) -> None:
    """Each name that a metadata file may have, compressed or not; the hint may be a version behind."""
    data = json.dumps(metadata(table)).encode()
    for old in (folder(table) / "metadata").glob("*.metadata.json"):
        old.unlink()
    (folder(table) / "metadata" / name).write_bytes(gzip.compress(data) if "gz" in name else data)
    if hint is not None:
        (folder(table) / "metadata" / "version-hint.text").write_text(hint)

    for path in (folder(table), folder(table) / "metadata" / name):
        assert list(range(20)) == ids(lf.open_table(path).scan())


def test_a_catalog_opens_the_older_name_of_compressed_metadata(
    table: lf.Table, embedded: lf.Lake, namespace: str
) -> None:
    """`v7.metadata.json.gz` as well as `v7.gz.metadata.json`."""
    for number, name in enumerate(("v7.metadata.json.gz", "v7.gz.metadata.json")):
        file = folder(table) / "metadata" / name
        file.write_bytes(gzip.compress(json.dumps(metadata(table)).encode()))
        embedded.catalog.register_table(f"{namespace}.r{number}", f"file://{file}")

        assert list(range(20)) == ids(embedded.table(f"{namespace}.r{number}").scan())


def test_of_two_tries_the_later_counts(table: lf.Table) -> None:
    """Two metadata files of one version: the one that was updated last is the table."""
    newest = metadata(table)
    stale = {**newest, "last-updated-ms": newest["last-updated-ms"] - 1, "current-snapshot-id": None, "refs": {}}
    (folder(table) / "metadata" / "00009-a.metadata.json").write_text(json.dumps(stale))
    (folder(table) / "metadata" / "00009-b.metadata.json").write_text(json.dumps(newest))
    (folder(table) / "metadata" / "00010-nothing.json").write_text("{}")

    assert list(range(20)) == ids(lf.open_table(folder(table)).scan())


def test_a_table_that_was_moved(table: lf.Table, tmp_path: Path) -> None:
    """Its old paths lead nowhere until they are relocated: as a whole, or by prefix."""
    old, new = table.location, tmp_path / "elsewhere" / "t"
    shutil.move(folder(table), new)

    with pytest.raises(ObjectNotFoundError):
        lf.open_table(new).scan().read()
    for relocate in (True, {old: str(new)}, {old + "/": f"file://{new}/"}, {old.rpartition("/")[0]: str(new.parent)}):
        opened = lf.open_table(new, relocate=relocate)
        shards = pickle.loads(pickle.dumps(opened.scan(where="id >= 5").shards(n=2)))
        assert list(range(20)) == ids(opened.scan())
        assert list(range(5, 20)) == sorted(each for shard in shards for each in read_shard(shard)["id"].to_pylist())
        assert Path(opened.location.removeprefix("file://")) == new


def test_the_longest_prefix_is_taken(table: lf.Table, tmp_path: Path) -> None:
    """Data that went one way and metadata another; a prefix ends at a slash."""
    old = table.location
    data, rest = tmp_path / "data", tmp_path / "rest"
    shutil.move(folder(table) / "data", data)
    shutil.move(folder(table), rest)

    prefixes = {old: str(rest), f"{old}/data": str(data), f"{old}/dat": "/nowhere", f"{old}/d": "/nowhere"}

    assert list(range(20)) == ids(lf.open_table(rest, relocate=prefixes).scan())


def test_a_table_of_another_store_is_read_here(table: lf.Table, tmp_path: Path) -> None:
    """Paths of a store that can't be reached any more, in metadata, manifests and all."""
    before = table.location
    after = f"hdfs://name:8020{folder(table)}"
    moved = relocated_copy(table, tmp_path / "copy", before, after)

    opened = lf.open_table(moved, relocate={after.rpartition("/")[0]: str(folder(table).parent)})

    assert list(range(20)) == ids(opened.scan())
    with pytest.raises(lf.LakeflowError, match="hdfs"):
        lf.open_table(moved).scan().read()


def relocated_copy(table: lf.Table, copy: Path, old: str, new: str) -> Path:
    """A metadata file that names all its manifest lists by other paths."""
    copy.mkdir()
    (copy / "v1.metadata.json").write_text(json.dumps(rewrite(metadata(table), old, new)))
    return copy / "v1.metadata.json"


@pytest.mark.parametrize("location", ["", ".", "warehouse/t", "/somewhere/else", "s3://bucket/t"])
def test_relative_paths_start_in_the_tables_folder(table: lf.Table, location: str) -> None:
    """Also where they begin with the table's own location, which is relative then."""
    prefix = f"{location}/" if location == "warehouse/t" else ""
    found = rewrite(metadata(table), f"{table.location}/", prefix)
    found["location"] = location
    file = folder(table) / "metadata" / "v99.metadata.json"
    file.write_text(json.dumps(found))

    assert list(range(20)) == ids(lf.open_table(file).scan())


def test_a_table_in_s3(seaweed: Any, numbers: Any, namespace: str) -> None:
    """By its folder and its file in a bucket, with storage properties."""
    lake = lf.connect(**seaweed.catalog_properties)
    table = lake.create_table(f"{namespace}.t", numbers(1).schema)
    table.append(numbers(10))
    storage = {key: value for key, value in seaweed.catalog_properties.items() if key.startswith("s3.")}

    for path in (table.location, table.iceberg.metadata_location):
        assert list(range(10)) == ids(lf.open_table(path, **storage).scan())


@pytest.mark.parametrize("hint", ["7", "v7", "v7.metadata.json"])
def test_a_table_behind_a_web_server(table: lf.Table, hint: str) -> None:
    """It lists nothing: the hint says which metadata file, and that leads to manifests there."""
    data = json.dumps(metadata(table)).encode()
    (folder(table) / "metadata" / "v7.metadata.json").write_bytes(data)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder(table)))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(NotFoundError):
            lf.open_table(url)
        (folder(table) / "metadata" / "version-hint.text").write_text(hint + "\n")

        rows = lf.open_table(url, relocate=True).files()["rows"]
        server.shutdown()
    assert sum(rows.to_pylist()) == 20


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("/nowhere/at/all", {}, NotFoundError), ("/nowhere/v1.metadata.json", {}, NotFoundError), ("", {}, InputError),
        (7, {}, InputError), (".", {"relocate": 3}, InputError), (".", {"relocate": {"a": 3}}, InputError),
        (".", {"relocate": {"": "b"}}, InputError), (".", {"endpoint": "x"}, ConfigError),
    ],
)  # fmt: skip
def test_what_opens_no_table(tmp_path: Path, monkeypatch: Any, path: Any, options: Any, error: Any) -> None:
    """Each is told as the caller's mistake."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(error):
        lf.open_table(path, **options)
