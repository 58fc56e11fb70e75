"""The exception tree is what its module draws, and survives the way from a worker."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from lakeflow_io import errors

CLASSES = [value for _, value in sorted(vars(errors).items()) if inspect.isclass(value)]


def test_every_class_is_exported_and_sorted() -> None:
    """`__all__` is all of them, in order."""
    assert sorted(each.__name__ for each in CLASSES) == errors.__all__


def test_the_drawing_is_the_tree() -> None:
    """The picture at the top of the module has each class beneath its parent."""
    drawn: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        match = re.fullmatch(r"(\s+(?:[| ]*\+- )?)([A-Z]\w+Error)\b.*", line)
        if match is None:
            continue
        depth = len(match[1])
        stack = [each for each in stack if each[0] < depth]
        drawn[match[2]] = stack[-1][1] if stack else "Exception"
        stack.append((depth, match[2]))

    assert {each.__name__: each.__bases__[0].__name__ for each in CLASSES} == drawn


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_pickles(kind: type[errors.LakeflowError]) -> None:
    """A worker's error arrives whole: its type, message, hint and what was added to it."""
    error = kind("it broke", "mend it")
    error.traceback_text = "Traceback ..."

    copy = pickle.loads(pickle.dumps(error))

    assert (kind, "it broke", "mend it", "Traceback ...") == (
        type(copy), copy.message, copy.hint, copy.traceback_text,
    )  # fmt: skip
    assert str(error) == str(copy)


def test_a_message_ends_with_its_hint() -> None:
    """A hint is a line of its own; without one there is none."""
    assert str(errors.StoreError("it broke", "mend it")) == "it broke\nHint: mend it"
    assert str(errors.StoreError("it broke")) == "it broke"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("titel", ["title", "year"], "did you mean title?"),
        ("xyz", ["title", "year"], "there are: title, year"),
        ("xyz", [], "there are none yet."),
        ("xyz", [f"column {n}" for n in range(12)], ", ..."),
    ],
)
def test_what_is_not_found_comes_with_what_is_there(name: str, known: list[str], hint: str) -> None:
    """The closest names, else a few of those that exist."""
    error = errors.NotFoundError.among("column", name, "kg.titles", known)

    assert f"No column {name!r} in kg.titles." == error.message
    assert hint in str(error.hint)


def test_a_missing_package_names_its_extra() -> None:
    """Whoever lacks Polars reads what to install."""
    error = errors.ConfigError.missing_extra("Polars", "polars", "to_polars")

    assert str(error) == 'to_polars needs Polars, which is not installed.\nHint: pip install "lakeflow[polars]"'
