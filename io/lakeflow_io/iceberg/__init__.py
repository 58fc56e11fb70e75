"""Iceberg: catalogs, predicates, plans, shards, staged files, commits."""
