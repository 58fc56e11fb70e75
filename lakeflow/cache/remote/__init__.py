"""Caches on object stores: published by conditional puts, read through local copies."""
