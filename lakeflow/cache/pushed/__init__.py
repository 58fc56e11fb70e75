"""What all stores that a cache is pushed to have in common: how a row is written, a version described and read."""

from __future__ import annotations
