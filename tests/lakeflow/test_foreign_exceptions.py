"""No exception of a library beneath crosses the public API."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from lakeflow_io.errors import (
    CatalogError,
    ConfigError,
    CorruptFileError,
    InputError,
    InternalError,
    LakeflowError,
    ObjectNotFoundError,
    StoreFullError,
)
from lakeflow_io.iceberg.translate import translated

if TYPE_CHECKING:
    from pathlib import Path

    import lakeflow as lf


def exceptions_of(module: str) -> list[type[Exception]]:
    """All exception classes that a module defines or shows."""
    found = [value for _, value in inspect.getmembers(import_module(module), inspect.isclass)]
    return [
        each for each in found if issubclass(each, Exception) and each.__module__.startswith(module.partition(".")[0])
    ]


FOREIGN = [
    each
    for module in (
        "pyiceberg.exceptions",
        "sqlalchemy.exc",
        "requests.exceptions",
        "botocore.exceptions",
        "urllib3.exceptions",
    )
    for each in exceptions_of(module)
    if not issubclass(each, Warning)
]


def instance(kind: type[Exception]) -> Exception:
    """One of a class whatever its constructor and its message need."""
    simple = type(kind.__name__, (kind,), {"__module__": kind.__module__, "__str__": lambda _: "it broke"})
    return simple.__new__(simple)


@pytest.mark.parametrize("kind", sorted(set(FOREIGN), key=str), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_an_exception_of_the_catalogs_libraries_becomes_ours(kind: type[Exception]) -> None:
    """Every class that pyiceberg, SQLAlchemy, requests, urllib3 and botocore define is translated, with its cause."""
    with pytest.raises(LakeflowError) as caught, translated("open table kg.t"):
        raise instance(kind)

    assert isinstance(caught.value.__cause__, kind)
    assert "open table kg.t" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("damage", ["metadata", "manifest list", "manifest", "data"])
@pytest.mark.parametrize("how", ["gone", "empty", "nonsense", "cut"])
def test_a_damaged_table_fails_within_the_tree(
    embedded: lf.Lake, namespace: str, tmp_path: Path, damage: str, how: str
) -> None:
    """Whichever file of a table is missing or damaged, opening and reading raise one of ours."""
    table = embedded.create_table(f"{namespace}.t", pa.schema([("id", pa.int64())]))
    table.append({"id": [1, 2, 3]})
    pattern = {
        "metadata": "*.metadata.json",
        "manifest list": "snap-*.avro",
        "manifest": "*-m*.avro",
        "data": "*.parquet",
    }
    paths = sorted(tmp_path.rglob(pattern[damage]))
    for path in paths:
        content = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes({"empty": b"", "nonsense": b"nonsense" * 100, "cut": content[: len(content) // 2]}[how])

    with pytest.raises(LakeflowError):
        embedded.table(table.name).scan().read()

    assert paths


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (FileNotFoundError("gone"), ObjectNotFoundError),
        (EOFError(), CorruptFileError),
        (IndexError("list"), CorruptFileError),
        (ConnectionResetError(), CatalogError),
        (ValueError("no"), InputError),
        (ImportError("no boto3"), ConfigError),
        (RuntimeError("what?"), InternalError),
        (OSError(28, "No space left on device"), StoreFullError),
    ],
)
def test_pythons_own_exceptions_become_ours(raised: Exception, expected: type[LakeflowError]) -> None:
    """Each says whose fault it is; what nobody expected is ours."""
    with pytest.raises(expected) as caught, translated("plan a scan"):
        raise raised

    assert type(caught.value) is expected


def test_our_own_pass_unchanged() -> None:
    """An error that is of the tree already is not wrapped again."""
    ours = InputError("no")

    with pytest.raises(InputError) as caught, translated("plan a scan"):
        raise ours

    assert caught.value is ours
