"""A damaged file of the lake is named, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lakeflow as lf
from lakeflow_io.errors import CatalogError, CorruptFileError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


@pytest.fixture
def table(embedded: lf.Lake, namespace: str, numbers: Callable[..., pa.Table]) -> lf.Table:
    """Two snapshots of ten rows."""
    made = embedded.create_table(f"{namespace}.t", numbers(1).schema)
    made.append(numbers(10))
    made.append(numbers(10, 10))
    return made


def path_of(table: lf.Table, what: str) -> Path:
    """Where one of a table's files lies."""
    iceberg = table.iceberg
    snapshot = iceberg.current_snapshot()
    uri = {
        "metadata": lambda: iceberg.metadata_location,
        "manifest list": lambda: snapshot.manifest_list,
        "manifest": lambda: snapshot.manifests(iceberg.io)[0].manifest_path,
    }[what]()
    return Path(uri.removeprefix("file://"))


DAMAGE = {
    "empty": lambda _: b"",
    "cut early": lambda content: content[:50],
    "cut in half": lambda content: content[: len(content) // 2],
    "cut late": lambda content: content[:-20],
    "zeros": lambda content: bytes(len(content)),
    "garbage": lambda content: b'{"x"' * 20 + content[80:],
    "not utf-8": lambda content: b"\xff\xfe" * (len(content) // 2),
    "other json": lambda _: b"[]",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("what", ["metadata", "manifest list", "manifest"])
def test_a_damaged_metadata_file_is_named(embedded: lf.Lake, table: lf.Table, what: str, how: str) -> None:
    """CorruptFileError with the file's name, from opening, scanning and appending."""
    path = path_of(table, what)
    path.write_bytes(DAMAGE[how](path.read_bytes()))

    with pytest.raises(CorruptFileError) as caught:
        embedded.table(table.name).scan().read()

    assert path.name in str(caught.value)


@pytest.mark.parametrize("how", ["empty", "cut in half", "zeros"])
def test_an_append_onto_a_damaged_list_is_refused(
    embedded: lf.Lake, table: lf.Table, numbers: Callable[..., pa.Table], how: str
) -> None:
    """A new snapshot would build on a list that can't be read: refused, and the table is as it was."""
    path = path_of(table, "manifest list")
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[how](whole))

    with pytest.raises(CorruptFileError, match=path.name):
        embedded.table(table.name).append(numbers(1, 100))

    path.write_bytes(whole)
    assert len(embedded.table(table.name).scan().read()) == 20


@pytest.mark.parametrize("what", ["metadata", "manifest list", "manifest"])
def test_a_missing_metadata_file_is_named(embedded: lf.Lake, table: lf.Table, what: str) -> None:
    """What is gone isn't damaged: ObjectNotFoundError with its name."""
    path = path_of(table, what)
    path.unlink()

    with pytest.raises(ObjectNotFoundError) as caught:
        embedded.table(table.name).scan().read()

    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"this is no database, whatever its name says" * 100, b"SQLite format 3\0" + b"x" * 5000, b"\0" * 4096],
    ids=["text", "cut", "zeros"],
)
@pytest.mark.parametrize("act", ["namespaces", "tables", "table", "create"])
def test_a_garbage_catalog_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: Callable[..., pa.Table], content: bytes, act: str
) -> None:
    """A catalog.db that is none: an error that says which file."""
    (tmp_path / "catalog.db").write_bytes(content)
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path))
    acts: dict[str, Callable[[], Any]] = {
        "namespaces": lambda: lf.connect().namespaces(),
        "tables": lambda: lf.connect().tables(),
        "table": lambda: lf.connect().table("kg.t"),
        "create": lambda: lf.connect().create_table("kg.t", numbers(1).schema),
    }

    with pytest.raises((CatalogError, CorruptFileError), match=r"catalog\.db"):
        acts[act]()

    assert (tmp_path / "catalog.db").read_bytes() == content


@pytest.mark.parametrize("name", ["a b", "a%20b", "what?", "a#b", "50%", "ü 日本", "all of%20them?#&=+;:@", " x "])
def test_a_home_of_any_name_holds_its_own_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: Callable[..., pa.Table], name: str
) -> None:
    """Spaces, percent signs, '?' and '#' mean nothing in LAKEFLOW_HOME: all files lie inside it."""
    home = tmp_path / name
    monkeypatch.setenv("LAKEFLOW_HOME", str(home))

    lf.connect().create_table("kg.t", numbers(1).schema).append(numbers(3))

    again = lf.connect()
    assert again.tables() == ["kg.t"]
    assert len(again.table("kg.t").scan().read()) == 3
    assert len(again.table("kg.t").iceberg.scan().to_arrow()) == 3
    assert (home / "catalog.db").is_file()
    assert [home] == list(tmp_path.iterdir())
    assert {"catalog.db", "warehouse"} == {each.name for each in home.iterdir()}
