"""Hand-offs between Arrow and the frames people write functions over."""

from __future__ import annotations

from lakeflow_engines.frames.convert import FRAME_KINDS, from_arrow, to_arrow
from lakeflow_engines.frames.signature import parameter_kinds

__all__ = ["FRAME_KINDS", "from_arrow", "parameter_kinds", "to_arrow"]
