"""What is looked at: whether `CURRENT` names a whole version, what a run did twice, and what lies about."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import lakeflow as lf
from benchmarks.cache.kills.rows import IDS, run_id, wrong
from lakeflow.cache.local import LocalShelf
from lakeflow.runs.state.journal import RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.cache.kills.place import Place

__all__ = ["Found", "Seen", "half_records", "leaked", "look"]

_RECORD = re.compile(r"\.json(#\d+)?$")


@dataclass
class Found:
    """Sums over everything that was looked at; all of them are 0 or empty where nothing went wrong."""

    broken: list[str] = field(default_factory=list[str])
    """Looks at which `CURRENT` named no version, or one of which a file was gone, damaged or of other rows."""
    mixed_rows: int = 0
    """Rows that readers got which weren't of the version of the same answer, or had a wrong checksum."""
    went_back: int = 0
    """Looks and answers of an older version than the one before."""
    republished: list[str] = field(default_factory=list[str])
    """Runs that weren't published just once."""
    redone_more: list[str] = field(default_factory=list[str])
    """Runs that did tasks again which no kill met, or of which kills met more tasks than run at one time."""
    leaked: list[str] = field(default_factory=list[str])
    """Files that were there after a collection and that nothing needs."""
    stuck: int = 0
    """Processes that didn't end, or didn't come to the phase in which to kill them."""
    unexpected: list[str] = field(default_factory=list[str])
    """Errors, of whoever wasn't killed."""

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not any(vars(self).values())


@dataclass(frozen=True, slots=True)
class Seen:
    """The version that a look found."""

    number: int
    version: str
    run: str | None


def look(place: Place, found: Found) -> Seen | None:
    """Open the cache anew, read every file and every row of the current version; None where they aren't whole.

    Where another version became current meanwhile and this one was removed, look again.
    """
    while True:
        version = None
        try:
            version = place.cache().version
            view = place.cache().at(version.id)
            view.verify()
            mixed, number = wrong(IDS, view.get_many(IDS))
        except lf.LakeflowError as error:
            if version is not None and place.cache().version.id != version.id:
                continue
            found.broken.append(f"{type(error).__name__}: {error}")
            return None
        if mixed or len(view) != len(IDS) or version.run_id != run_id(number):
            found.broken.append(f"{version}: {len(view)} rows of {len(IDS)}, {mixed} not of version {number}")
            return None
        return Seen(number, version.id, version.run_id)


def leaked(place: Place) -> list[str]:
    """Files, folders and objects of the cache that nothing needs when nobody writes.

    Needed are `CURRENT`, `lock` and `turns`; the current version's files and manifest; the records of runs, which are
    their history, and no rows; and `staging`, empty. What `half_records` counts isn't counted here. Of a store also
    what a writer's machine holds of builds.
    """
    shelf = place.shelf
    if isinstance(shelf, LocalShelf):
        return _leaked_files(shelf)
    pointer = shelf.read_pointer()
    needed = {f"{shelf.uri}/CURRENT", *(shelf.objects(shelf.manifest(pointer.version)) if pointer else ())}
    spare = {each.uri for each in shelf.transport.list(shelf.uri)} - needed
    names = [uri.removeprefix(f"{shelf.uri}/") for uri in sorted(spare)]
    builds = [str(path) for path in shelf.copies.folder.glob("building/*")]
    return [*(name for name in names if not (name.startswith(f"{RUNS}/") and _RECORD.search(name))), *builds]


def _leaked_files(shelf: LocalShelf) -> list[str]:
    pointer = shelf.read_pointer()
    needed = {shelf.pointer, shelf.lock, shelf.turns, shelf.folder / "staging"}
    if pointer is not None:
        own = shelf.versions / pointer.version
        needed |= {own / "manifest.json", *(own / file.name for file in shelf.manifest(pointer.version).files)}
    parents = {parent for path in needed for parent in path.parents}
    spare = [path for path in shelf.folder.rglob("*") if path not in needed | parents]
    names = [str(path.relative_to(shelf.folder)) for path in spare]
    return [name for name, path in zip(names, spare, strict=True) if not _is_record(name, path)]


def half_records(place: Place) -> int:
    """Records of runs that a kill met while they were put: some hundred bytes each, beside the record; none on a store.

    obstore writes a file under a name of its own before it gives it its name, and no listing of it shows that.
    """
    shelf = place.shelf
    return sum("#" in path.name for path in (shelf.folder / RUNS).rglob("*")) if isinstance(shelf, LocalShelf) else 0


def _is_record(name: str, path: Path) -> bool:
    within = name.startswith(f"{RUNS}/") and (path.is_dir() or _RECORD.search(name) is not None)
    return within or f"{RUNS}/".startswith(f"{name}/")
