"""What a change that fails leaves behind: nothing, where it is certain that no snapshot names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.exceptions import BadRequestError, ForbiddenError, UnauthorizedError

from lakeflow_io.errors import AccessDeniedError, ConfigError, StoreError
from lakeflow_io.iceberg import change as change_module
from lakeflow_io.iceberg.stage import Stager

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES: dict[str, Callable[[Any], Any]] = {
    "append": lambda table: table.append([{"id": 1000}]),
    "overwrite": lambda table: table.overwrite([{"id": 1000}]),
    "delete": lambda table: table.delete("id = 3"),
    "positions": lambda table: table.delete("id = 3", mode="merge-on-read"),
    "upsert": lambda table: table.merge([{"id": 3, "n": -1}], key="id"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_commit_that_can_not_be_prepared(small: Any, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """The store fails while manifests are written: the catalog has heard of nothing, and nothing stays."""
    files, manifests = small.files, small.manifests

    def fails(*_: Any) -> Any:
        raise StoreError("the store is gone")

    monkeypatch.setattr("lakeflow_io.iceberg.snapshot_internals._Producer._summary", fails)

    with pytest.raises(StoreError, match="gone"):
        CHANGES[change](small.table)

    monkeypatch.undo()
    small.check()
    assert (files, manifests) == (small.files, small.manifests)


@pytest.mark.parametrize("refusal", [ForbiddenError, UnauthorizedError, BadRequestError])
def test_a_catalog_that_refuses(small: Any, monkeypatch: pytest.MonkeyPatch, refusal: type[Exception]) -> None:
    """It has looked at the commit and not made it: who may not write leaves no file behind."""
    files, manifests = small.files, small.manifests

    def refuse(*_: Any) -> Any:
        raise refusal("no")

    monkeypatch.setattr(small.table.iceberg.catalog, "commit_table", refuse)

    with pytest.raises(StoreError if refusal is BadRequestError else AccessDeniedError):
        small.table.append([{"id": 1000}])

    assert (files, manifests) == (small.files, small.manifests)


def test_a_refusal_of_what_has_landed_is_no_refusal(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy repeats a commit whose answer it lost; the second is refused, and the first is what counts."""
    commit = small.table.iceberg.catalog.commit_table

    def twice(*arguments: Any) -> Any:
        commit(*arguments)
        raise ForbiddenError("the token was good for one request")

    monkeypatch.setattr(small.table.iceberg.catalog, "commit_table", twice)

    small.table.delete("id = 3")

    monkeypatch.undo()
    small.keep(lambda each: each["id"] != 3)
    small.check()


def test_an_interruption_deletes_nothing(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the catalog took the commit: readers see the files, so they stay."""
    commit = small.table.iceberg.catalog.commit_table

    def interrupted(*arguments: Any) -> Any:
        commit(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(small.table.iceberg.catalog, "commit_table", interrupted)

    with pytest.raises(KeyboardInterrupt):
        small.table.delete("id = 3")

    monkeypatch.undo()
    small.keep(lambda each: each["id"] != 3)
    small.check()


def test_what_can_not_be_deleted_hides_no_error(
    small: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first failure is the one that is raised; what it leaves behind is named in the log."""

    def fails(*_: Any) -> Any:
        raise StoreError("nothing can be deleted")

    def refuse(*_: Any) -> Any:
        raise ConfigError("the first failure")

    monkeypatch.setattr(Stager, "discard", fails)
    monkeypatch.setattr(change_module, "_rewritten", refuse)

    with pytest.raises(ConfigError, match="first"):
        small.table.append([{"id": 1000}])

    assert "nothing can be deleted" in caplog.text
    assert "append-" in caplog.text


@pytest.mark.parametrize("change", CHANGES)
def test_a_commit_loads_the_table_once(small: Any, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """When the verb is called; then the catalog's answer to the commit says how the table is."""
    catalog = small.table.iceberg.catalog
    load, commit = catalog.load_table, catalog.commit_table
    asked: list[str] = []

    def committing(*arguments: Any) -> Any:
        asked.append("commit")
        monkeypatch.setattr(catalog, "load_table", load)  # SQLite's loads it itself
        answer = commit(*arguments)
        monkeypatch.setattr(catalog, "load_table", loading)
        return answer

    def loading(*arguments: Any) -> Any:
        asked.append("load")
        return load(*arguments)

    monkeypatch.setattr(catalog, "load_table", loading)
    monkeypatch.setattr(catalog, "commit_table", committing)

    made = CHANGES[change](small.table)

    assert asked == ["load", "commit"]
    assert made == small.table.snapshot
    monkeypatch.undo()
    location = small.table.iceberg.metadata_location
    assert (location, made) == (small.table.refresh().iceberg.metadata_location, small.table.snapshot)
