"""Manifests decoded into columns, pruned with a few comparisons of arrays, and remembered.

Why this exists: a manifest is a file of rows, an object each for a planner that reads it as it lies. Half a
million files make half a million objects of a hundred parts. Here their columns are decoded (`native/avro.h`)
and compared whole, and a `Piece` is made where it is looked at.
"""
