"""Paths, folders and globs mean what they mean to a shell."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path, PurePath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakeflow_io.errors import InputError, NotFoundError
from lakeflow_io.folder.listing import list_files
from lakeflow_io.folder.paths import take_apart
from lakeflow_io.storage import MemoryTransport

NAMES = st.sampled_from(["a", "b", "_x", ".y", "_k=1", "[z"])
PATTERNS = st.sampled_from(["*", "**", "a", "?", "[!a]", "_*", ".*", "[[]z"])
FILES = st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=4, max_size=12)


def transport(*keys: str) -> MemoryTransport:
    """Objects of one byte."""
    made = MemoryTransport()
    for key in keys:
        made.put(f"memory://b/{key}", b"x")
    return made


def uris(store: MemoryTransport, *paths: str) -> list[str]:
    """What paths mean, without the bucket."""
    return [file.uri.removeprefix("memory://b/") for file in list_files(store, [take_apart(path) for path in paths])]


@example(paths=[["_x", "a"], [".y", "a"], ["b", "a"]], pattern=["**", "a"])
@given(paths=FILES, pattern=st.lists(PATTERNS, max_size=3))
def test_globs_are_those_of_the_standard_library(paths: list[list[str]], pattern: list[str], tmp_path: Path) -> None:
    """What `glob` finds, and all visible files in the folders among it."""
    root = tmp_path / os.urandom(8).hex()
    files = {PurePath(*parts) for parts in paths}
    files -= {folder for file in files for folder in file.parents}
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    found = glob(os.path.join(root, *pattern), recursive=True)  # noqa: PTH118, PTH207
    # It lets a last ** match nothing behind a file, with a slash between, after some patterns only.
    matched = {PurePath(each).relative_to(root) for each in found if not each.endswith("/") or Path(each).is_dir()}
    hidden = {part for file in files for part in file.parts if part[0] in "_." and "=" not in part}

    def visible(file: PurePath, under: PurePath) -> bool:
        return not hidden.intersection(file.relative_to(under).parts)

    # The standard library lets * match a leading underscore; here only a pattern that has it does.
    allowed = {m for m in matched if _spells_out(m.parts, pattern, hidden)}
    expected = {file for file in files for m in allowed if (m == file or m in file.parents) and visible(file, m)}

    given_ = take_apart(os.path.join(root, *pattern))  # noqa: PTH118
    below = len(given_.folders) - len(root.parts[1:])
    got = {file for file in files if given_.base == _base(root, file, below) and given_.matches(file.parts[below:])}

    assert expected == got


def _base(root: Path, file: PurePath, depth: int) -> str:
    return f"file://{root.joinpath(*file.parts[:depth])}"


def _spells_out(parts: tuple[str, ...], pattern: list[str], hidden: set[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        options = [n for n in range(len(parts) + 1) if not hidden.intersection(parts[:n])]
        return any(_spells_out(parts[n:], pattern[1:], hidden) for n in options)
    fits = bool(parts) and fnmatchcase(parts[0], pattern[0])
    return (
        fits
        and (parts[0] not in hidden or pattern[0][0] == parts[0][0])
        and _spells_out(parts[1:], pattern[1:], hidden)
    )


def test_a_folder_is_all_below_it_and_nothing_hidden() -> None:
    """Markers of engines are skipped, a partition with an underscore is not, neighbours are not meant."""
    store = transport("t/a", "t/x/b", "t/_SUCCESS", "t/_log/c", "t/.d.crc", "t/_k=1/e", "tt/f")

    assert uris(store, "memory://b/t") == ["t/_k=1/e", "t/a", "t/x/b"]
    assert uris(store, "memory://b/t/") == ["t/_k=1/e", "t/a", "t/x/b"]
    assert uris(store, "memory://b/t/_SUCCESS") == ["t/_SUCCESS"]


def test_several_paths_keep_their_order_and_no_file_comes_twice() -> None:
    """In the order given, sorted within; a file that two paths mean is one."""
    store = transport("t/a", "t/b", "u/c")

    assert uris(store, "memory://b/u", "memory://b/t/b", "memory://b/t") == ["u/c", "t/b", "t/a"]


def test_empty_objects_are_folders_of_a_console() -> None:
    """Object stores know no folders, so consoles make empty objects; an empty .parquet file is damage."""
    store = transport("t/a")
    store.put("memory://b/t/x", b"")
    store.put("memory://b/t/y.parquet", b"")

    assert uris(store, "memory://b/t") == ["t/a", "t/y.parquet"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("memory://b/run=5/t", [("k", "1"), ("l", "2")]),
        ("memory://b/run=5/t/k=1", [("k", "1"), ("l", "2")]),
        ("memory://b/run=5/t/k=1/l=2", [("k", "1"), ("l", "2")]),
        ("memory://b/run=5/t/k=1/l=2/f=3", [("k", "1"), ("l", "2")]),
        ("memory://b/run=5/t/*/l=2", [("k", "1"), ("l", "2")]),
        ("memory://b/**/f=3", [("run", "5"), ("k", "1"), ("l", "2")]),
    ],
)
def test_keys_on_the_path_that_was_given_count(path: str, expected: list[tuple[str, str]]) -> None:
    """Reading a partition alone keeps its column; a key further up, with other folders between, isn't this layout's."""
    store = transport("run=5/t/k=1/l=2/f=3")

    [file] = list_files(store, [take_apart(path)])

    assert tuple(expected) == file.keys


def test_paths_of_this_machine_are_absolute_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from the working directory, ~ from home; Path objects and `file:` are paths."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = f"file://{tmp_path}/t"

    for path in ("t", "./t/", "x/../t", "~/t", str(tmp_path / "t"), tmp_path / "t", Path("t"), f"file:{tmp_path}/t"):
        assert expected == take_apart(path).base
    assert (f"file://{tmp_path}", ("*", "t")) == (take_apart("*/t").base, take_apart("*/t").pattern)


@pytest.mark.parametrize("path", ["", None, 5, b"t", "s3://b*/t"])
def test_what_is_no_path_is_refused(path: object) -> None:
    """Nothing, numbers, bytes, and a wildcard where no store has one."""
    with pytest.raises(InputError):
        take_apart(path)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["memory://b/nope", "memory://b/t/*.csv", "memory://b/t/[z", "memory://b/empty"])
def test_nothing_there_is_a_not_found_error(path: str) -> None:
    """It names the path; one without files is as good as none."""
    with pytest.raises(NotFoundError, match="No files in") as caught:
        uris(transport("t/a", "empty/_SUCCESS"), path)

    assert path in caught.value.message
