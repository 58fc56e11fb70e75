"""The look-up service that one writes oneself: FastAPI over redis-py.

Answers are returned as responses, which its documentation has as the way around validation.
"""

from __future__ import annotations

import os
from typing import Any

import redis.asyncio
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from benchmarks.cache.contenders.packed import row

__all__ = ["service"]

service = FastAPI()
_client = redis.asyncio.Redis(unix_socket_path=os.environ.get("BENCH_SOCKET"))


@service.get("/rows/{key}")
async def one(key: str) -> JSONResponse:
    """One row as JSON."""
    value = await _client.get(key)
    if value is None:
        raise HTTPException(404)
    return JSONResponse(_keyed(key, value))


@service.post("/rows")
async def many(request: Request) -> JSONResponse:
    """A row or null for each key."""
    keys = (await request.json())["keys"]
    values = await _client.mget(keys)
    return JSONResponse({"rows": [_keyed(key, value) for key, value in zip(keys, values, strict=True)]})


def _keyed(key: str, value: bytes | None) -> dict[str, Any] | None:
    found = row(value)
    return found and {"key": key, **found}
