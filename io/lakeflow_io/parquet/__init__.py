"""Parquet in memory: footers, byte ranges, decoding, encoding."""
