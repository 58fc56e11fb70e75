"""Requests that schemathesis makes of the served document: each is answered as the document says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeflow.cache import Cache
from lakeflow.serve import app
from lakeflow.serve.openapi import document

if TYPE_CHECKING:
    from pathlib import Path

OPERATIONS = [(path, method) for path, methods in document("", protected=False)["paths"].items() for method in methods]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The document of an application with a cache of each kind of key."""
    root: Path = tmp_path_factory.mktemp("caches")
    Cache("texts", root).load(pa.table({"key": ["", "a", "é"], "n": [1, 2, 3]}), key="key")
    Cache("pairs", root).load(pa.table({"text": ["", "a", "é"], "n": [1, 2, 3]}), key=["text", "n"])
    return schemathesis.openapi.from_asgi("/openapi.json", app(root))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_answers_to_what_is_made_of_the_document(served: Any, path: str, method: str, data: Any) -> None:
    """No failure of the server, and no status, media type or form that isn't described, of whatever is sent."""
    mode = data.draw(st.sampled_from(schemathesis.GenerationMode))
    case = data.draw(served[path][method].as_strategy(generation_mode=mode))
    name = data.draw(st.sampled_from([None, "texts", "pairs"]))
    if "{name}" in path and name is not None:
        case.path_parameters["name"] = name

    case.call_and_validate(checks=CHECKS)
