"""Which works of a run are done: four bytes a work, whatever the number of works."""

from __future__ import annotations

import re
from array import array

__all__ = ["Done"]


_ID = re.compile(r"(?:shard|item)-(\d+)(\.\d+of\d+)?")


class Done:
    """Works that have a marker, and how large these are.

    Args:
        count: Works of the run; parts of works aren't counted.
    """

    def __init__(self, count: int) -> None:
        self._sizes = array("I", bytes(4 * count))
        self.parts: dict[str, int] = {}
        """Bytes of the markers of parts, by id."""
        self.count = 0
        """Works with a marker of their own."""

    def add(self, work_id: str, size: int = 1) -> None:
        """Note a marker.

        Args:
            work_id: A work's or a part's. What is none of the run's is ignored.
            size: Its bytes.
        """
        found = _ID.fullmatch(work_id)
        if found is None or int(found[1]) >= len(self._sizes):
            return
        if found[2]:
            self.parts[work_id] = size
            return
        index = int(found[1])
        self.count += not self._sizes[index]
        self._sizes[index] = max(1, min(size, 2**32 - 1))

    def __contains__(self, work_id: object) -> bool:
        return isinstance(work_id, str) and self.size(work_id) > 0

    def size(self, work_id: str) -> int:
        """Bytes of a marker; 0 where there is none."""
        found = _ID.fullmatch(work_id)
        if found is None or int(found[1]) >= len(self._sizes):
            return 0
        return self.parts.get(work_id, 0) if found[2] else self._sizes[int(found[1])]
