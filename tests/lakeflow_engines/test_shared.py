"""Shared tables: written once, mapped once a process, never pickled."""

from __future__ import annotations

import pickle
import tempfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeflow_engines import shared as module
from lakeflow_engines.shared import SharedTable, delete_shared, encode_shared, load_shared, put_shared, sweep_copies

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lakeflow.demo.seaweed import Seaweed


def share(name: str, data: pa.Table, folder: str, store: dict[str, str]) -> SharedTable:
    """Encode and put, as a run's driver does."""
    shared, payload = encode_shared(name, data, folder, store)
    put_shared(shared, payload)
    return shared


NAMES = pa.chunked_array([["a", "b"], ["c"]])
DATA = pa.table({"id": pa.chunked_array([[1, 2], [3]]), "name": NAMES})


def test_two_tasks_see_one_object(tmp_path: Path) -> None:
    """The second task of a process gets what the first one mapped."""
    shared = share("names", DATA, f"file://{tmp_path}", {})
    travelled = pickle.loads(pickle.dumps(shared))

    first, second = load_shared(shared), load_shared(travelled)

    assert first is second
    assert DATA.to_pydict() == first.to_pydict()


def test_the_table_is_mapped_not_read(tmp_path: Path) -> None:
    """Its buffers are pages of the file: Arrow allocated nothing for them."""
    data = pa.table({"x": pa.array(range(1_000_000), pa.int64())})
    shared = share("numbers", data, f"file://{tmp_path}", {})
    before = pa.total_allocated_bytes()

    loaded = load_shared(shared)

    assert loaded.num_rows == 1_000_000
    assert pa.total_allocated_bytes() - before < 100_000


def test_the_file_is_named_by_its_content(tmp_path: Path) -> None:
    """Equal tables share one file, whatever their chunks; another table has another name."""
    folder = f"file://{tmp_path}"

    one, same, other = (share("t", each, folder, {}) for each in (DATA, DATA.combine_chunks(), DATA.slice(1)))

    assert one == same != other
    assert one.digest in one.uri
    assert {f"t-{one.digest}.arrow", f"t-{other.digest}.arrow"} == {each.name for each in tmp_path.iterdir()}


def test_what_travels_is_small(tmp_path: Path) -> None:
    """A task carries where the table lies, not the table."""
    shared = share("t", pa.table({"x": range(100_000)}), f"file://{tmp_path}", {})

    assert len(pickle.dumps(shared)) < 1000
    assert (shared.rows, shared.bytes >= 800_000) == (100_000, True)


def test_a_table_in_s3_is_copied_once(
    seaweed: Seaweed, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host fetches it once into a private folder of its own; it loads after the object is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = pa.table({"id": [1], "test": [namespace]})
    shared = share("names", data, f"s3://plain/{namespace}", seaweed.store_properties)

    load_shared(shared)
    delete_shared(shared)
    module._mapped.cache_clear()
    again = load_shared(shared)

    [folder] = tmp_path.iterdir()
    assert data.to_pydict() == again.to_pydict()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert f"{shared.digest}.arrow" in [each.name for each in folder.iterdir()]


def test_credentials_are_not_shown(seaweed: Seaweed, tmp_path: Path) -> None:
    """The store's properties travel, and stay out of the repr."""
    shared: Any = share("t", DATA, f"file://{tmp_path}", seaweed.store_properties)

    assert seaweed.secret_key not in repr(shared)


def test_copies_are_swept_when_nobody_maps_them(
    seaweed: Seaweed, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy stays while a process holds it, and is deleted afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = pa.table({"id": [1], "swept": [namespace]})
    load_shared(share("names", data, f"s3://plain/{namespace}", seaweed.store_properties))

    sweep_copies()
    held = len(list(tmp_path.glob("*/*.arrow")))
    module._mapped.cache_clear()
    sweep_copies()

    assert (held, len(list(tmp_path.glob("*/*.arrow")))) == (1, 0)
