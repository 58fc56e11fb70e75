"""Whether the process lives, and whether it is ready."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lakeflow.cache import Cache
from lakeflow.serve import app
from lakeflow_io.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_required_caches_are_opened(tmp_path: Path, ask: Any) -> None:
    """Ready when each of them can be, again not when one is damaged; names and folders stay in the log."""
    application = app(tmp_path, require=["scores", "names"])
    none = ask(application, ("GET", "/readyz"))[0]
    for name in ("scores", "names"):
        Cache(name, tmp_path).load(pa.table({"id": [1]}), key="id")
    both = ask(application, ("GET", "/readyz"))[0]
    Cache("names", tmp_path).load(pa.table({"id": [2]}), key="id")
    for file in (tmp_path / "names" / "versions").glob("*/*.arrow"):
        file.write_bytes(b"short")
    damaged = ask(application, ("GET", "/readyz"))[0]

    assert (none.status_code, both.status_code, damaged.status_code) == (503, 200, 503)
    assert "2 of 2" in none.json()["error"]["message"]
    assert "names" not in damaged.text
    assert both.json() == {"status": "ready"}


def test_without_required_caches_it_is_ready(tmp_path: Path, ask: Any) -> None:
    """Also where the folder isn't there yet."""
    assert ask(app(tmp_path / "none"), ("GET", "/readyz"))[0].status_code == 200


def test_a_required_name_is_checked_at_once(tmp_path: Path) -> None:
    """A name that can't name a cache never becomes ready."""
    with pytest.raises(InputError):
        app(tmp_path, require=["../x"])


def test_a_cache_of_another_version_of_lakeflow(tmp_path: Path, ask: Any) -> None:
    """The caller learns that much, and no folder."""
    version = Cache("scores", tmp_path).load(pa.table({"id": [1]}), key="id").id
    manifest = tmp_path / "scores" / "versions" / version / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))

    answer = ask(app(tmp_path), ("GET", "/v1/caches/scores/1"))[0]

    assert (answer.status_code, answer.json()["error"]["type"]) == (501, "UnsupportedError")
    assert str(tmp_path) not in answer.text
