"""Ways into a lakehouse, and what each says when it's closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from loopback import free_port

import lakeflow as lf
from lakeflow_io.errors import AccessDeniedError, CatalogError, ConfigError, LakeflowError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from lakeflow.demo.seaweed import Seaweed


def test_without_arguments_it_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`./lakehouse` is made, or what LAKEFLOW_HOME names; a second connect finds the same tables."""
    monkeypatch.chdir(tmp_path)
    lf.connect()
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path / "a folder with ü"))
    lf.connect().catalog.create_namespace("kg")

    assert lf.connect().namespaces() == ["kg"]
    assert {"lakehouse", "a folder with ü"} == {each.name for each in tmp_path.iterdir()}


def test_a_home_with_spaces_holds_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: Callable[..., pa.Table]
) -> None:
    """Any character of a path may stand in LAKEFLOW_HOME."""
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path / "50% of ü #1"))
    table = lf.connect().create_table("kg.t", numbers(1).schema)

    table.append(numbers(3))

    assert len(lf.connect().table("kg.t").scan().read()) == 3


def test_a_catalog_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables describe a catalog, as pyiceberg's configuration does."""
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__URI", f"sqlite:///{tmp_path}/prod.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__WAREHOUSE", f"file://{tmp_path}/prod")

    lake = lf.connect("prod")

    assert lake.namespaces() == []
    assert (tmp_path / "prod.db").exists()


def test_a_name_that_is_not_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the closest catalog and the variable that would describe one."""
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__URI", f"sqlite:///{tmp_path}/prod.db")

    with pytest.raises(NotFoundError, match="No catalog 'prd'") as caught:
        lf.connect("prd")

    assert "did you mean prod?" in str(caught.value.hint)
    assert "PYICEBERG_CATALOG__PRD__URI" in str(caught.value.hint)


def test_a_name_and_properties_contradict_each_other() -> None:
    """Both at once are refused rather than merged."""
    with pytest.raises(ConfigError, match="both"):
        lf.connect("prod", uri="http://localhost")


@pytest.mark.parametrize("properties", [{"type": "nonsense", "uri": "x"}, {"warehouse": "file:///x"}])
def test_properties_that_describe_no_catalog(properties: dict[str, str]) -> None:
    """An unknown type and a missing uri are the caller's."""
    with pytest.raises(ConfigError):
        lf.connect(**properties)


def test_a_rest_catalog_that_does_not_answer() -> None:
    """Nobody listens: a CatalogError that says which catalog, from any call."""
    with pytest.raises(CatalogError, match="Cannot"):
        lf.connect(type="rest", uri=f"http://127.0.0.1:{free_port()}").namespaces()


@pytest.mark.parametrize("wrong", [{"client.secret-access-key": "wrong"}, {"client.access-key-id": "nobody"}])
def test_wrong_credentials_are_denied(seaweed: Seaweed, wrong: dict[str, str]) -> None:
    """A REST catalog that refuses the signature is AccessDeniedError, with what to check."""
    with pytest.raises(AccessDeniedError) as caught:
        lf.connect(**{**seaweed.catalog_properties, **wrong}).namespaces()

    assert "credentials" in str(caught.value.hint)


def test_a_home_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path beneath a file is no folder."""
    monkeypatch.setenv("LAKEFLOW_HOME", "/proc/version/lakehouse")

    with pytest.raises(ConfigError, match="No lakehouse") as caught:
        lf.connect()

    assert "LAKEFLOW_HOME" in str(caught.value.hint)


def test_a_damaged_catalog_stays_in_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite file that is none is an error of ours."""
    (tmp_path / "catalog.db").write_text("this is no database, whatever its name says" * 100)
    monkeypatch.setenv("LAKEFLOW_HOME", str(tmp_path))

    with pytest.raises(LakeflowError):
        lf.connect().namespaces()
