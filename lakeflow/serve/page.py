"""`/`: the OpenAPI document as one HTML page, which fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from http import HTTPStatus
from typing import Any

from lakeflow.serve.answer import Answer

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
code, pre { font-family: ui-monospace, monospace; font-size: .9rem }
h2 code { font-weight: 600 }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8884; border-radius: .3rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8884 }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


def page(document: dict[str, Any]) -> Answer:
    """Return the page of a document of `openapi.document`."""
    info, server = document["info"], document["servers"][0]["url"].rstrip("/")
    operations = [
        _operation(method, server + path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [_schema(name, schema) for name, schema in document["components"]["schemas"].items()]
    title = escape(info["title"])
    body = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>{escape(info["description"])} lakeflow {escape(info["version"])}.
For programs: <a href="{escape(server)}/openapi.json">openapi.json</a>.</p>
{"".join(operations)}
<h1>Forms</h1>
{"".join(schemas)}
</body>
</html>
"""
    return Answer(HTTPStatus.OK, body.encode(), _HEADERS)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    token = " Needs the token." if "security" in operation else ""
    parameters = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{_marked(each['description'])}</td></tr>"
        for each in operation["parameters"]
    )
    sent = operation.get("requestBody")
    body = f"<tr><td>body</td><td></td><td>{_contents(sent['content'])}</td></tr>" if sent else ""
    answers = "".join(
        f"<tr><td>{status}</td><td>{_marked(each['description'])}</td>"
        f"<td>{_contents(each.get('content', {}))}</td></tr>"
        for status, each in operation["responses"].items()
    )
    return f"""<h2><code>{method.upper()} {escape(path)}</code></h2>
<p>{escape(operation["summary"])}.{token}</p>
<table>{parameters}{body}{answers}</table>
"""


def _contents(content: dict[str, Any]) -> str:
    """Name the forms of a body: a schema's name, or the media type."""
    names = [each["schema"].get("$ref", "").rpartition("/")[2] for each in content.values()]
    return " or ".join(
        f"<code>{escape(kind)}</code>" + (f' (<a href="#{name}">{name}</a>)' if name else "")
        for kind, name in zip(content, names, strict=True)
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    return f'<h2 id="{escape(name)}">{escape(name)}</h2>\n<pre>{escape(json.dumps(schema, indent=2))}</pre>\n'


def _marked(text: str) -> str:
    """Show what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
