"""Avro files: their container, for manifests and data files alike, and data files -> Arrow."""
