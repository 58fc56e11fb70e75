"""ORC files: the tail, decoded here; stripes, decoded by pyarrow."""
