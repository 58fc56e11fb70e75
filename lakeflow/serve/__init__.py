"""HTTP look-ups in caches of a folder or an object store.

lakeflow serve --root ./caches            # from a shell

from lakeflow.serve import app            # in any ASGI application or server
application = app("./caches")
"""

from __future__ import annotations

from lakeflow.serve.asgi import app
from lakeflow.serve.server import run

__all__ = ["app", "run"]
