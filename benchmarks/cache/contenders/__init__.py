"""The contenders, a file each: how one store is best filled and asked.

A file has `PACKAGES`, the distributions whose versions are told; `SETTINGS`, one line on how it is used
and why; `loading(task)`, a context in which what isn't timed is made, and whose value is the call that is;
and `reading(task)`, which opens what was loaded for `get(key)` and `get_many(keys)`.
"""

from __future__ import annotations

__all__ = ["CONTENDERS"]

CONTENDERS = ("lakeflow", "lakeflow_rows", "lmdb", "rocksdict", "valkey", "ipc")
