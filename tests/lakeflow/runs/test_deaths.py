"""A driver dies before each step of the protocol in turn; the same call again leaves what an undisturbed run does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from two_outputs import Setting

from lakeflow.runs.outputs import publishing
from lakeflow_io.storage import object_store
from lakeflow_io.storage.object_store import ObjectStoreTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import lakeflow as lf


class Killed(BaseException):
    """The process is gone: nothing after this has any effect."""


class Deaths:
    """Kills the driver before its n-th change of the store or the catalog.

    What only reads changes nothing: to die before it is to die before the next change.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.steps: list[str] = []
        self._at: int | None = None
        self._on = False

    def guard(self, catalogs: list[Any]) -> None:
        """Stand before every change that these catalogs, and any store, are asked for."""
        for owner, names in ((ObjectStoreTransport, ("put", "put_if_absent", "delete")),
                             (object_store._Sender, ("whole", "parts"))):  # fmt: skip
            for name in names:
                self._monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name), name))
        for catalog in catalogs:
            self._monkeypatch.setattr(catalog, "commit_table", self._guarded(catalog.commit_table, "commit"))

    @contextmanager
    def before(self, step: int) -> Iterator[None]:
        """Within this, the driver dies before a step; one there is not is none."""
        self.steps, self._at, self._on = [], step, True
        try:
            yield
        finally:
            self._on = False

    def _guarded(self, original: Callable[..., Any], name: str) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if self._on:
                if len(self.steps) == self._at:
                    raise Killed(name)  # and again, whatever is still tried on the way out
                self.steps.append(name)
            return original(*arguments, **options)

        return guarded


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> Deaths:
    """Kills drivers."""
    return Deaths(monkeypatch)


@pytest.mark.parametrize(
    ("mode", "outputs", "packed"),
    [
        ("append", 1, False),
        ("append", 2, False),
        ("append", 2, True),
        ("overwrite", 1, False),
        ("overwrite-partitions", 2, False),
    ],
    ids=["append", "two outputs", "manifests by workers", "overwrite", "overwrite partitions of two"],
)
def test_a_driver_may_die_before_any_step(
    embedded: lf.Lake,
    namespace: str,
    deaths: Deaths,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    outputs: int,
    packed: Any,
) -> None:
    """Before each put, delete and commit: rows are there exactly once, in one snapshot an output."""
    if packed:
        monkeypatch.setattr(publishing, "PACK_FROM_BYTES", 0)
    deaths.guard([embedded.catalog])

    for step in range(200):
        setting = Setting(embedded, namespace, step, mode, outputs)
        died = False
        with deaths.before(step):
            try:
                setting.run()
            except Killed:
                died = True
        marked = setting.marked
        assert setting.run().ran == 2 - marked
        setting.check()
        if not died:
            assert step > 6 + 5 * outputs
            assert deaths.steps.count("commit") == outputs
            return
    pytest.fail("it never ends")


def test_between_two_outputs_the_first_is_visible(embedded: lf.Lake, namespace: str, deaths: Deaths) -> None:
    """Outputs are published in the order in which they were given: a crash between them leaves the first one."""
    setting = Setting(embedded, namespace, 0, "append", 2)
    deaths.guard(setting.catalogs[:1])
    with deaths.before(1000):
        Setting(embedded, namespace, 1, "append", 2).run()
    second_commit = [n for n, step in enumerate(deaths.steps) if step == "commit"][1]

    with pytest.raises(Killed), deaths.before(second_commit):
        setting.run()
    seen = {name: len(table.refresh().snapshots()) for name, table in setting._tables.items()}
    resumed = setting.run()

    assert seen == {"left": 2, "right": 1}
    assert resumed.ran == 0
    assert list(resumed.snapshot_ids) == ["left", "right"]
    setting.check()
