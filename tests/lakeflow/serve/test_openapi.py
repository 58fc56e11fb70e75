"""The document of what can be asked, the page that shows it, and the application inside another one."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import jsonschema
import pyarrow as pa
import pytest
from starlette.applications import Starlette

import lakeflow as lf
from lakeflow.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "c2VjcmV0IGFuZCBsb25n"
ASKED = [
    ("GET", "/"),
    ("GET", "/openapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/caches/scores"),
    ("GET", "/v1/caches/none"),
    ("GET", "/v1/caches/scores/1"),
    ("GET", "/v1/caches/scores/2"),
    ("GET", "/v1/caches/scores/x"),
    ("GET", "/v1/caches/scores/1", {"headers": {"if-none-match": "*"}}),
    ("GET", "/v1/caches/scores/1", {"headers": {"x": "x" * 40_000}}),
    ("GET", "/v1/caches/scores/" + "1" * 5000),
    ("POST", "/v1/caches/scores:batchGet", {"json": {"keys": [1, 2]}}),
    ("POST", "/v1/caches/scores:batchGet", {"json": {"keys": [1] * 10_001}}),
    ("POST", "/v1/caches/scores:batchGet", {"content": b"{", "headers": {"content-type": "text/csv"}}),
    (
        "POST",
        "/v1/caches/scores:batchGet",
        {"json": {"keys": [1]}, "headers": {"accept": "application/vnd.apache.arrow.stream"}},
    ),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one cache."""
    Cache("scores", tmp_path / "caches").load(pa.table({"id": [1]}), key="id")
    return tmp_path / "caches"


def resolved(node: Any, document: dict[str, Any]) -> Any:
    """The same with every reference replaced by what it refers to."""
    if isinstance(node, list):
        return [resolved(each, document) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return resolved(document["components"]["schemas"][node["$ref"].rpartition("/")[2]], document)
    return {name: resolved(each, document) for name, each in node.items()}


def operation_of(method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """The one operation whose template a path fits."""
    for template, operations in document["paths"].items():
        pattern = re.sub(r"\{[a-z]+\}", "[^/:]+", template)
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return operations[method.lower()]
    pytest.fail(f"{method} {path} isn't documented")


def test_each_fact_of_a_cache_is_described(root: Path, ask: Any) -> None:
    """And of its versions."""
    described, answer = ask(lf.serve.app(root), ("GET", "/openapi.json"), ("GET", "/v1/caches/scores"))

    facts = described.json()["components"]["schemas"]["Cache"]["properties"]
    assert answer.json().keys() == facts.keys()
    assert answer.json()["versions"][0].keys() == facts["versions"]["items"]["properties"].keys()


@pytest.mark.parametrize("request_", ASKED, ids=range(len(ASKED)))
@pytest.mark.parametrize("token", [None, TOKEN])
def test_answers_are_those_of_the_document(root: Path, ask: Any, request_: Any, token: str | None) -> None:
    """Each status is one of its route's, its media type is one of that status's, and JSON fits its schema."""
    described, answer = ask(lf.serve.app(root, token=token), ("GET", "/openapi.json"), request_)

    document = described.json()
    responses = resolved(operation_of(request_[0], request_[1], document), document)["responses"]
    content = responses[str(answer.status_code)].get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert kind in (content or [""])
    if kind == "application/json":
        jsonschema.validate(answer.json(), content[kind]["schema"], jsonschema.Draft202012Validator)


@pytest.mark.parametrize("token", [None, TOKEN])
def test_the_document_says_where_a_token_is_needed(root: Path, ask: Any, token: str | None) -> None:
    """Where the server would refuse a request without one, and nowhere else; each schema is a JSON schema."""
    application = lf.serve.app(root, token=token)
    document = ask(application, ("GET", "/openapi.json"))[0].json()

    for schema in resolved(document["components"]["schemas"], document).values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for template, operations in document["paths"].items():
        path = template.replace("{name}", "scores").replace("{key}", "1")
        for method, operation in operations.items():
            (answer,) = ask(application, (method.upper(), path))
            assert (answer.status_code == 401) == ("security" in operation), path


class Page(HTMLParser):
    """What a page has that could fetch or run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        """Note what it refers to."""
        self.found += [(tag, value) for name, value in attributes if name in ("src", "href", "action", "style")]
        self.found += [(tag, "")] * (tag in ("script", "link", "img", "iframe", "object", "form"))


@pytest.mark.parametrize("prefix", ["", "/data/caches"])
def test_the_page_fetches_nothing(root: Path, ask: Any, prefix: str) -> None:
    """It shows each route; its links stay on it, but for the document's; its style is the one that is allowed."""
    page, document = ask(
        lf.serve.app(root, token=TOKEN), ("GET", f"{prefix}/"), ("GET", f"{prefix}/openapi.json"), root_path=prefix
    )

    targets = {target for _, target in Page(page.text).found if not target.startswith("#")}
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert {f"{prefix}/openapi.json"} == targets
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert all(f"{prefix}{path}</code></h2>" in page.text for path in document.json()["paths"])
    assert document.json()["servers"] == [{"url": prefix or "/"}]


def test_mounted_below_a_prefix(root: Path, ask: Any) -> None:
    """In Starlette's, which is FastAPI's: rows, encoded slashes and the prefix without a slash of its own."""
    outer = Starlette()
    Cache("names", root).load(pa.table({"name": ["a/b"], "n": [1]}), key="name")
    outer.mount("/data/caches", lf.serve.app(root))

    row, slash, page, outside = ask(
        outer,
        ("GET", "/data/caches/v1/caches/scores/1"),
        ("GET", "/data/caches/v1/caches/names/a%2Fb"),
        ("GET", "/data/caches/"),
        ("GET", "/v1/caches/scores/1"),
    )

    assert (row.json(), slash.json()) == ({"id": 1}, {"name": "a/b", "n": 1})
    assert (page.status_code, outside.status_code) == (200, 404)
    assert "/data/caches/openapi.json" in page.text
