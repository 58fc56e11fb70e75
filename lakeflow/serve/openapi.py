"""`/openapi.json`: what can be asked, as an OpenAPI 3.1 document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeflow import __version__
from lakeflow.serve.bearer import WITHOUT_TOKEN
from lakeflow.serve.limits import BATCH_KEYS, JSON_KEY_CHARACTERS, KEY_BYTES, NAME_CHARACTERS
from lakeflow.serve.media import Form
from lakeflow.serve.routes import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["document"]

_JSON, _ARROW = Form.JSON.value, Form.ARROW.value
_STREAM = {"schema": {"type": "string", "contentMediaType": _ARROW}}
_TEXTS = {
    304: "The version that `If-None-Match` names is the current one",
    400: "The request can't be understood; the answer says why",
    401: "The token is missing or another",
    404: "No such cache, or no row with this key",
    405: "Another method is meant",
    408: "The body didn't come in time",
    413: "More than the limits allow; the answer says of what",
    414: "The path, the key or the query is too long",
    415: "A body in another form, or a compressed one",
    431: "More header lines than fit",
    500: "The server failed; its log says how",
    501: "A value, or a cache, that this server has no form for",
    503: "Not now: later it may work",
}
_ANY = (405, 414, 431, 500)
_OF_CACHE = (400, 404, 501, 503)

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["status", "type", "message", "hint"],
            "properties": {
                "status": {"type": "integer"},
                "type": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": ["string", "null"]},
            },
        }
    },
}
_ROW = {"type": "object", "description": "The columns of the cache, with the key, or those that were asked for."}
_TIME = {"type": "string", "format": "date-time"}
_CACHE = {
    "type": "object",
    "required": ["name", "key", "schema", "rows", "version", "created", "source", "versions", "age_seconds"],
    "properties": {
        "name": {"type": "string"},
        "key": {
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "The key column, or several that are the key together.",
        },
        "schema": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "type", "nullable"],
                "properties": {
                    "name": {"type": "string"},
                    "type": {"type": "string", "description": "As Arrow writes it."},
                    "nullable": {"type": "boolean"},
                },
            },
        },
        "rows": {"type": "integer"},
        "version": {"type": "string"},
        "created": _TIME,
        "source": {"type": ["string", "null"], "description": "What it was made from: `table@snapshot`."},
        "versions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "rows": {"type": "integer"},
                    "bytes": {"type": "integer"},
                    "created": _TIME,
                    "source": {"type": ["string", "null"]},
                    "run_id": {"type": ["string", "null"]},
                    "current": {"type": "boolean"},
                    "pinned": {"type": "boolean", "description": "It stays whatever is published."},
                    "reused_bytes": {
                        "type": "integer",
                        "description": "Of `bytes`, in files of earlier versions.",
                    },
                },
            },
        },
        "age_seconds": {"type": "number", "description": "Since the current version was published."},
    },
}
_VALUE = {"type": ["integer", "string"], "maxLength": JSON_KEY_CHARACTERS}
_KEYS = {
    "type": "object",
    "required": ["keys"],
    "additionalProperties": False,
    "properties": {
        "keys": {
            "type": "array",
            "maxItems": BATCH_KEYS,
            "items": {"oneOf": [_VALUE, {"type": "array", "items": _VALUE}]},
            "description": "As the key column is; binary keys as base64. Of several columns: a list of their values.",
        }
    },
}
_ROWS = {
    "type": "object",
    "required": ["version", "rows"],
    "properties": {
        "version": {"type": "string"},
        "rows": {"type": "array", "items": {"oneOf": [{"$ref": "#/components/schemas/Row"}, {"type": "null"}]}},
    },
}
_STATUS = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
_NAME: dict[str, Any] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Of a cache.",
    "schema": {"type": "string", "pattern": r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", "maxLength": NAME_CHARACTERS},
}
_PATH_VALUE = {"type": "string", "maxLength": KEY_BYTES}
_KEY: dict[str, Any] = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "Percent-encoded: digits, UTF-8 text or any bytes, as the key column is. Of several columns: "
    "their values, each percent-encoded, with commas between.",
    "style": "simple",
    "schema": {"oneOf": [_PATH_VALUE, {"type": "array", "items": _PATH_VALUE, "minItems": 2}]},
}
_COLUMNS: dict[str, Any] = {
    "name": "columns",
    "in": "query",
    "description": "Columns of the rows, in this order; all without it. Each percent-encoded, with commas between.",
    "style": "form",
    "explode": False,
    "schema": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
}
_KNOWN: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of what the client has.",
    "schema": {"type": "string"},
}


def document(prefix: str, *, protected: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        prefix: The path at which the application is mounted; empty where it is alone.
        protected: Whether requests need a token.
    """
    row, cache = [_NAME, _KEY, _COLUMNS, _KNOWN], [_NAME, _KNOWN]
    operations = {
        Route.ROW: _reads("getRow", "One row", _json("Row"), (304, *_OF_CACHE), row),
        Route.BATCH: _batch(),
        Route.CACHE: _reads("getCache", "A cache", _json("Cache"), (304, *_OF_CACHE), cache),
        Route.METRICS: _reads("getMetrics", "Numbers for Prometheus", _text("plain")),
        Route.HEALTH: _reads("getHealth", "The process lives", _json("Status")),
        Route.READY: _reads("getReadiness", "Requests are welcome", _json("Status"), (503,)),
        Route.OPENAPI: _reads("getDocument", "This document", {_JSON: {"schema": {"type": "object"}}}),
        Route.PAGE: _reads("getPage", "This document as a page", _text("html")),
    }
    if protected:
        for route in operations.keys() - WITHOUT_TOKEN:
            operations[route]["security"] = [{"token": []}]
            answers = {**operations[route]["responses"], "401": _failure(401)}
            operations[route]["responses"] = dict(sorted(answers.items()))
    schemas = {"Row": _ROW, "Rows": _ROWS, "Keys": _KEYS, "Cache": _CACHE, "Status": _STATUS, "Error": _ERROR}
    components: dict[str, Any] = {"schemas": schemas}
    if protected:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "lakeflow caches", "version": __version__, "description": "Look-ups in versioned caches."},
        "servers": [{"url": prefix or "/"}],
        "paths": {route.value: {"post" if route is Route.BATCH else "get": each} for route, each in operations.items()},
        "components": components,
    }


def _batch() -> dict[str, Any]:
    operation = _reads(
        "getRows", "Many rows", {**_json("Rows"), _ARROW: _STREAM}, (*_OF_CACHE, 408, 413, 415), [_NAME, _COLUMNS]
    )
    described = "As an Arrow IPC stream: one column, whatever its name; of several columns the key's, by their names."
    body = {"required": True, "description": described, "content": {**_json("Keys"), _ARROW: _STREAM}}
    return {**operation, "requestBody": body}


def _reads(
    name: str,
    summary: str,
    content: dict[str, Any],
    statuses: Sequence[int] = (),
    parameters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    failures = {str(status): _failure(status) for status in sorted({*statuses, *_ANY})}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": {"description": "The answer", "content": content}, **failures},
    }


def _failure(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _TEXTS[status]}
    return described if status == 304 else {**described, "content": _json("Error")}  # noqa: PLR2004


def _json(schema: str) -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _text(kind: str) -> dict[str, Any]:
    return {f"text/{kind}": {"schema": {"type": "string"}}}
