"""The compiled library, hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lakeflow_io.keyed import binding

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[True, False], ids=["in C", "not compiled"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[bool]:
    """Once with the library, once without."""
    if not request.param:
        monkeypatch.setattr(binding, "library", lambda: None)
    binding.keyed_library.cache_clear()
    assert (binding.keyed_library() is not None) == request.param
    yield request.param
    binding.keyed_library.cache_clear()
